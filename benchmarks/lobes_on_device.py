"""Unit tests of the model's parts on a GPU; prints one table.

Run from the top of the project.
> python benchmarks/lobes_on_device.py --device cuda:0

The tests are those of tests/unittests, as they are, with the device as torch's
default one: what they make is made there. Products are in float32 throughout,
not in tf32.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import collections
import contextlib
import sys
from pathlib import Path

import pytest
import torch
from timing import describe_device

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "test_sparse_moe.py",
    "test_integrators.py",
    "test_heads.py",
    "test_joint_model.py",
    "test_spectral_frontend.py",
    "test_waveform_normalization.py",
    "test_wavlm_attention.py",
    "test_speech_encoder.py",
    "test_hidden_state_cache.py",
    "test_precision.py",
    "test_routing.py",
)
# Not of the device but of how torch makes it the default one.
NOT_APPLICABLE = {
    "test_the_host_waits_once": "a default device calls what it counts again"
}


class Outcomes:
    """Counts what becomes of the tests of every file; a plugin of pytest."""

    def __init__(self) -> None:
        self.counts: dict[str, collections.Counter] = {}
        self.failures: list[tuple[str, str]] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Skips what says nothing here."""
        for item in items:
            reason = NOT_APPLICABLE.get(item.originalname)
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts a test, and an error before or after it."""
        if report.when != "call" and report.passed:
            return  # A test is skipped, or breaks, before its call too.
        name, _, test = report.nodeid.partition("::")
        name = Path(name).name
        self.counts.setdefault(name, collections.Counter())[report.outcome] += 1
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            message = crash.message if crash else str(report.longrepr)
            self.failures.append((f"{name}::{test}", message.split("\n")[0]))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keeps files that cannot be imported."""
        if report.failed:
            name = Path(report.nodeid).name
            self.counts[name] = collections.Counter(failed=1)
            lines = str(report.longrepr).strip().splitlines()
            self.failures.append((name, lines[-1]))


def main() -> None:
    """Runs the tests and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--files", nargs="+", default=FILES)
    arguments = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_default_device(arguments.device)
    print(f"{describe_device(arguments.device)}\n", flush=True)
    outcomes = Outcomes()
    paths = [str(ROOT / "tests/unittests" / name) for name in arguments.files]
    options = [
        "-q",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
        "--durations=5",
    ]
    # Standard output has the tables alone.
    with contextlib.redirect_stdout(sys.stderr):
        status = pytest.main([*options, *paths], plugins=[outcomes])
    kinds = ("passed", "failed", "skipped")
    print("| tests | passed | failed | skipped |\n| --- | --: | --: | --: |")
    for name, counts in outcomes.counts.items():
        print(f"| {name} | {' | '.join(str(counts[k]) for k in kinds)} |")
    for test, reason in NOT_APPLICABLE.items():
        print(f"\nSkipped: {test}, since {reason}.")
    if outcomes.failures:
        print("\n| failed | message |\n| --- | --- |")
        for name, message in outcomes.failures:
            print(f"| {name} | {message.replace('|', '/')[:200]} |")
    sys.exit(status)


if __name__ == "__main__":
    main()
