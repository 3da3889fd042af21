"""The network: one file per stage, and `generalized_rcnn` which puts them together."""
