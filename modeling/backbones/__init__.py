"""Backbones, by the feature maps that they give."""
