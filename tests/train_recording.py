"""
./train.py, which also writes the losses and the learning rate of each step to the file RECORD as JSON, one line each.
TensorFlow's optimizers rewrite the graph only with REWRITE=1.

With TOWERS=2 it trains on that many towers without GPUs. With HANG=step or HANG=evaluation rank 1 hangs before its
fifth step or in its first evaluation, when it has made the file RECORD.hangs; a job counts as stalled after STALLED
seconds.
"""
import json
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
__file__ = os.path.join(ROOT, "train.py")    # starts as quietly as that does

import common

from tensorpack import tfv1

import data
import distributed
import train
from sessions import take_graphs_as_they_are
from training import trainers
from training.progress import Progress

num_towers = int(os.environ.get("TOWERS", "1"))
if num_towers > 1:
    trainers.visible_gpus = lambda: num_towers
make_session_creator = distributed.session_creator


def session_creator():
    creator = make_session_creator()
    creator.config.device_count["CPU"] = num_towers
    if os.environ.get("REWRITE") != "1":
        take_graphs_as_they_are(creator.config)
    return creator


distributed.session_creator = session_creator
show = Progress._trigger_step


def record(self):
    if distributed.is_chief():
        rate, = (v for v in tfv1.global_variables() if v.op.name == "learning_rate")
        rate = float(self.trainer.sess.run(rate))
        losses = {name: float(loss) for name, loss in self.losses.items()}
        with open(os.environ["RECORD"], "a") as f:
            f.write(json.dumps({"step": self.global_step, "rate": rate, "losses": losses}) + "\n")
    show(self)


Progress._trigger_step = record


def hang():
    open(os.environ["RECORD"] + ".hangs", "w").close()
    time.sleep(10000)


before_run, load_image = Progress._before_run, data.load_image


def hang_before_fifth_step(self, context):
    if os.environ.get("HANG") == "step" and distributed.rank() == 1 and self.global_step == 4:
        hang()
    return before_run(self, context)


def hang_in_evaluation(path, size):
    if os.environ.get("HANG") == "evaluation" and distributed.rank() == 1:
        hang()
    return load_image(path, size)


Progress._before_run = hang_before_fifth_step
data.load_image = hang_in_evaluation
distributed.STALLED = float(os.environ.get("STALLED", distributed.STALLED))
common.exit_on_user_error(train.main)
