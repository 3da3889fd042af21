"""
./train.py, which also writes the losses and the learning rate of each step to the file RECORD as JSON, one line each.
With TOWERS=2 it trains on that many towers without GPUs.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import common
import callbacks
import distributed
import train
from tensorpack import tfv1

num_towers = int(os.environ.get("TOWERS", 1))
if num_towers > 1:
    train.visible_gpus = lambda: num_towers
    make_session_creator = distributed.session_creator

    def session_creator():
        creator = make_session_creator()
        creator.config.device_count["CPU"] = num_towers
        return creator

    distributed.session_creator = session_creator

show = callbacks.Progress._trigger_step


def record(self):
    if distributed.is_chief():
        rate, = (v for v in tfv1.global_variables() if v.op.name == "learning_rate")
        rate = float(self.trainer.sess.run(rate))
        with open(os.environ["RECORD"], "a") as f:
            f.write(json.dumps({"step": self.global_step, "rate": rate, "losses": self.losses.tolist()}) + "\n")
    show(self)


callbacks.Progress._trigger_step = record
common.exit_on_user_error(train.main)
