"""The `shapes` data set, which the project draws itself."""
from data.shapes.render import ensure_rendered, render_dataset

__all__ = ["ensure_rendered", "render_dataset"]
