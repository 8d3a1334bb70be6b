"""Tests that the lobes can move to speechbrain/lobes as they are.

Authors
 * The speechbrain-merit developers 2026
"""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT, relative

LOBES = ROOT / "speechbrain_merit" / "lobes"
ALLOWED = {"speechbrain", "torch", "transformers"}
# Refuses the package that the lobes come from, imports all of them from where
# they were copied to, and runs the largest of them.
PROBE = """
import importlib, pkgutil, sys
sys.modules["speechbrain_merit"] = None
import torch
import moved.lobes
for module in pkgutil.iter_modules(moved.lobes.__path__, "moved.lobes."):
    importlib.import_module(module.name)
model = moved.lobes.JointModel(
    encoder=moved.lobes.SpeechEncoder(
        config={"model_type": "wavlm", "num_hidden_layers": 1,
                "hidden_size": 16, "num_attention_heads": 2,
                "num_conv_pos_embedding_groups": 2}
    ),
    integrator=moved.lobes.SparseMoE(num_layers=2, input_size=16,
                                     output_size=8),
    frontend=moved.lobes.SpectralFrontend(),
    enhancement_head=moved.lobes.SpectralMaskHead(feature_size=8),
)
output = model(torch.zeros(1, 16000), torch.ones(1))
assert output.enhanced_log1p.isfinite().all()
"""


@pytest.mark.parametrize("path", sorted(LOBES.glob("*.py")), ids=relative)
def test_a_lobe_imports_nothing_else_of_the_package(path: Path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1, f"line {node.lineno} leaves the folder"
    foreign = found - ALLOWED - set(sys.stdlib_module_names)
    assert not foreign, foreign


def test_the_lobes_work_alone(tmp_path: Path):
    shutil.copytree(LOBES, tmp_path / "moved" / "lobes")
    (tmp_path / "moved" / "__init__.py").touch()
    result = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
