"""``python -m tests.game_day``: make each fault, show that its alert fires and no other page; 1 if anything differs."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from .scenes import SCENES, Scene
from .stage import Stage, stage

QUIET_S = 20.0
"""A scene begins after so long without any alert."""


def problems(scene: Scene, made: Stage) -> list[str]:
    """What is not as it should be."""
    found = []
    if scene.alert is not None and scene.alert not in made.fired:
        found.append(f"{scene.alert} did not fire")
    allowed = scene.also | {scene.alert}
    pages = sorted(name for name in made.fired if name not in allowed and made.severity[name] == "page")
    if pages:
        found.append(f"somebody is woken for nothing: {', '.join(pages)}")
    return found


def play(scene: Scene, folder: Path, speed: int) -> tuple[list[str], float | None, Stage]:
    """Play a scene; what is wrong, after how many seconds its alert fired, and the stage."""
    with stage(folder, speed, scene.users, scene.start, **scene.settings) as made:
        if scene.cold:
            made.asking = True
        else:
            made.warm_up()
            made.play(QUIET_S)
        early = sorted(made.fired)
        began = time.monotonic()
        scene.fault(made)
        made.play(scene.seconds, lambda: scene.alert in made.fired)
        made.play(5.0)
        after = made.fired[scene.alert] - began if scene.alert in made.fired else None
        return [*(f"{name} fired before the fault" for name in early), *problems(scene, made)], after, made


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--scenes", default="all", show_default=True, help=f"all, or with commas: {', '.join(SCENES)}")
@click.option(
    "--speed", type=click.IntRange(1, 60), default=12, show_default=True, help="how much quicker the rules are"
)
@click.option(
    "--folder", type=click.Path(path_type=Path), help="where it works and what stays; a temporary one by default"
)
def main(scenes: str, speed: int, folder: Path | None) -> None:
    """Make each fault against a running flow, and look at what a real Prometheus fires."""
    names = list(SCENES) if scenes == "all" else scenes.split(",")
    if unknown := [name for name in names if name not in SCENES]:
        msg = f"unknown scenes: {', '.join(unknown)}"
        raise click.UsageError(msg)
    if shutil.which("prometheus") is None:
        msg = "prometheus is not installed (Debian: apt-get install prometheus)"
        raise click.UsageError(msg)
    place = Path(tempfile.mkdtemp(prefix="game-day-")) if folder is None else folder
    failed = 0
    for name in names:
        scene = SCENES[name]
        wrong, after, made = play(scene, place / name, speed)
        failed += bool(wrong)
        others = ", ".join(sorted(set(made.fired) - {scene.alert})) or "no other"
        fired = "nobody is woken" if scene.alert is None else f"{scene.alert} after {after or 0:.0f} s"
        click.echo(f"{'WRONG' if wrong else 'ok':<6}{name:<10}{scene.what}: {fired}; {others}")
        for each in wrong:
            click.echo(f"      {each}")
    click.echo(f"{len(names) - failed} of {len(names)} scenes are as they should be, rules {speed} times as quick")
    if folder is None and not failed:
        shutil.rmtree(place, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
