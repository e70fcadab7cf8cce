"""airssys check: plain words for a manifest in order, and every mistake of one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from airssys_actors.cli.main import app

ROOT = Path(__file__).parents[2]
HEAD = 'schema = 1\n[component]\nname = "w"\nversion = "1.0.0"\nwasm = "w.wasm"\n'


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "Component.toml"


def test_the_examples_are_in_order() -> None:
    done = CliRunner().invoke(
        app, ["check", str(ROOT / "Component.toml.example"), "--host", str(ROOT / "Host.toml.example")]
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("weather 1.2.0 (weather.wasm)\n")
    assert "may send HTTPS requests to the host api.example.com" in done.stdout
    assert "does not start it" not in done.stdout


def test_a_manifest_that_asks_for_nothing_is_said_to_be_harmless(manifest: Path) -> None:
    manifest.write_text(HEAD)
    done = CliRunner().invoke(app, ["check", str(manifest)])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "w 1.0.0 (w.wasm)",
        "It asks for no capability: it can compute, and nothing else.",
    ]


def test_all_mistakes_stand_on_standard_error_with_their_places(manifest: Path) -> None:
    manifest.write_text(HEAD + '[capabilities.filesystem]\nread = ["x", "/y/"]\n[limits]\nmemory = 3\n')
    done = CliRunner().invoke(app, ["check", str(manifest)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert [line.removeprefix(str(manifest)).split(" ")[0] for line in done.stderr.splitlines()] == [
        ":7:9:",
        ":7:14:",
        ":9:1:",
    ]


def test_mistakes_of_both_files_are_reported_together(manifest: Path, tmp_path: Path) -> None:
    manifest.write_text("schema = 2\n")
    host = tmp_path / "Host.toml"
    host.write_text("schema = 3\n")
    done = CliRunner().invoke(app, ["check", str(manifest), "--host", str(host)])
    assert done.exit_code == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [str(host), str(manifest), str(manifest)]


def test_a_hosts_ceilings_hold(manifest: Path, tmp_path: Path) -> None:
    manifest.write_text(HEAD + "[limits]\nmemory = '64MiB'\n")
    host = tmp_path / "Host.toml"
    host.write_text("schema = 1\n[ceilings.limits]\nmemory = '32MiB'\n")
    assert CliRunner().invoke(app, ["check", str(manifest)]).exit_code == 0
    done = CliRunner().invoke(app, ["check", str(manifest), "--host", str(host)])
    assert done.exit_code == 2
    assert "at most 32MiB" in done.stderr


def test_what_keeps_a_host_from_starting_it_is_said(manifest: Path, tmp_path: Path) -> None:
    manifest.write_text(
        HEAD + "[capabilities.custom.invoices]\nrefund = ['a']\npay = ['a']\n[supervision]\nisolation = 'process'\n"
    )
    host = tmp_path / "Host.toml"
    host.write_text("schema = 1\n[custom.invoices]\nactions = ['pay']\n")
    done = CliRunner().invoke(app, ["check", str(manifest), "--host", str(host)])
    assert done.exit_code == 0
    said = done.stdout[done.stdout.index("A host does not start it") :]
    assert "supervision.isolation" in said
    assert "custom.invoices.refund" in said
    assert "custom.invoices.pay" not in said


@pytest.mark.parametrize("name", ["absent.toml", ".", "a\x1b[2J", "\udcff", "a\nb"])
def test_a_file_that_is_not_there_is_named_harmlessly(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(tmp_path / name)])
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.rstrip("\n").isprintable()


def test_what_the_author_wrote_moves_no_cursor(manifest: Path) -> None:
    manifest.write_text(HEAD + '"\\u001b[2J\\u202e" = 1\n[limits]\nmemory = "\\u001b]0;x\\u0007"\n')
    done = CliRunner().invoke(app, ["check", str(manifest)])
    assert done.exit_code == 2
    assert all(line.isprintable() and line.isascii() for line in done.stderr.split("\n"))


def test_a_manifest_that_is_missing_on_the_command_line_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["check"]).exit_code == 2
