"""A page that explains an evaluation: what a detector finds, which mistakes it makes, and what they cost."""
