"""A page in the browser to try a trained model with.

Authors
 * The speechbrain-merit developers 2026
"""

from .analysis import DemoResult, analyse
from .gradio_page import make_demo, serve

__all__ = ["DemoResult", "analyse", "make_demo", "serve"]
