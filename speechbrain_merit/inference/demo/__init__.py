"""A page in the browser to try a trained model with.

Authors
 * The speechbrain-merit developers 2026
"""

from .gradio_page import make_demo, serve

__all__ = ["make_demo", "serve"]
