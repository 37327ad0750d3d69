"""What CI does with a pull request that edits the label policy."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from loader.connect import PROJECT

WORKFLOW = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text())
SEED = "seeds/label_policy/included_labels.csv"
# In make's place: says what it is to do, and by which policy.
MAKE = f"""#!/bin/sh
echo "make $* by $(cat {SEED})" | tee -a "$ASKED"
"""


def merged(folder: Path, policy: str) -> None:
    """Make a repository whose last commit brings a policy, as a merge that is tried out does."""
    git = shutil.which("git")
    assert git is not None
    (folder / SEED).parent.mkdir(parents=True)
    as_nobody = ("-c", "user.name=ci", "-c", "user.email=ci@example.org")
    subprocess.run([git, "init", "--quiet"], cwd=folder, check=True)
    for text in ("merged", policy):
        (folder / SEED).write_text(text)
        subprocess.run([git, "add", "."], cwd=folder, check=True)
        commit = [git, *as_nobody, "commit", "--quiet", "--allow-empty", "-m", "policy"]
        subprocess.run(commit, cwd=folder, check=True)


def preview(folder: Path) -> tuple[str, str, str]:
    """Run the workflow's step; return what make was asked, the step's output, and the summary."""
    (step,) = (step for step in WORKFLOW["jobs"]["preview"]["steps"] if step.get("id") == "preview")
    beside = folder.with_name("beside")
    beside.mkdir()
    files = [beside / name for name in ("ASKED", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")]
    for path in files:
        path.touch()
    make = beside / "make"
    make.write_text(MAKE)
    make.chmod(0o755)
    environment = {path.name: str(path) for path in files}
    environment |= {"PATH": f"{beside}:{os.environ['PATH']}", "GITHUB_SHA": "0123abcd"}
    # As GitHub runs it.
    bash = ["bash", "-e", "-c", step["run"]]
    subprocess.run(bash, cwd=folder, env=environment, check=True, capture_output=True)
    asked, output, summary = (path.read_text() for path in files)
    return asked, output, summary


def test_an_edit_of_the_policy_is_previewed_on_what_is_merged(tmp_path: Path) -> None:
    merged(tmp_path / "project", "edited")
    asked, output, summary = preview(tmp_path / "project")
    asked_for_preview = "make policy-preview FORMAT=markdown by edited"
    assert asked.splitlines() == ["make run by merged", asked_for_preview]
    heading, *_, last = summary.splitlines()
    assert (heading.split()[0], last) == ("What", asked_for_preview)
    first, *lines, end = output.splitlines()
    assert (first, end) == ("text<<0123abcd", "0123abcd")
    assert "\n".join(lines).rstrip("\n") == summary.rstrip("\n")


def test_without_an_edit_of_the_policy_nothing_is_previewed(tmp_path: Path) -> None:
    merged(tmp_path / "project", "merged")
    assert preview(tmp_path / "project") == ("", "", "")


@pytest.mark.parametrize("job", WORKFLOW["jobs"])
def test_what_runs_code_of_a_pull_request_may_write_nothing(job: str) -> None:
    """A comment needs the right to write; it is made of a text alone."""
    runs_its_code = any(
        "checkout" in step.get("uses", "") for step in WORKFLOW["jobs"][job]["steps"]
    )
    may_write = "write" in str(WORKFLOW["jobs"][job].get("permissions", WORKFLOW["permissions"]))
    assert runs_its_code != may_write
