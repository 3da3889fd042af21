"""The tree of attributes: copies, freezing, flat names."""
import pytest

from config import finalize_configs, new_config
from settings.tree import AttrDict
from tiny import message_of


def test_a_key_that_is_not_there_names_those_that_are():
    with pytest.raises(AttributeError, match="no key BASE_L;.*BASE_LR"):
        _ = new_config().TRAIN.BASE_L


def test_a_clone_is_independent(cfg):
    clone = cfg.clone()
    clone.TRAIN.WARMUP = 77
    clone.NEW = 1
    assert cfg.TRAIN.WARMUP != 77 and not hasattr(cfg, "NEW")


def test_a_finalized_config_does_not_change(cfg):
    finalize_configs(cfg, is_training=True)
    before = cfg.flatten()
    for change in (lambda: setattr(cfg, "MODE_MASK", False), lambda: setattr(cfg.TRAIN, "WARMUP", 1),
                   lambda: setattr(cfg.TRAIN, "NEW", 1), lambda: cfg.update_args(["TRAIN.WARMUP=1"])):
        assert "frozen" in message_of(change)
    assert cfg.flatten() == before


def test_a_clone_of_a_finalized_config_can_be_changed(cfg):
    finalize_configs(cfg, is_training=True)
    clone = cfg.clone()
    clone.TRAIN.WARMUP = 7
    assert clone.TRAIN.WARMUP == 7


def test_tests_do_not_change_the_default(cfg):
    cfg.TRAIN.WARMUP = 7
    assert new_config().TRAIN.WARMUP == 1000


def test_flatten_has_dotted_names_and_no_inner_nodes():
    flat = AttrDict({"A": {"B": {"C": 1}, "D": (2,)}, "E": None}).flatten()
    assert flat == {"A.B.C": 1, "A.D": (2,), "E": None}
