"""`pgqmodel serve`: the HTTP service around the reference queue, until it is told to end."""

from __future__ import annotations

from pathlib import Path

import click

from pgqmodel.cli.completion import targets
from pgqmodel.cli.ranges import Range
from pgqmodel.errors import UsageError

__all__ = ["serve"]

SECRET_BYTES_MAX = 4_096


@click.command()
@click.option("--pg", "conninfo", required=True, help="The database with the queue in it: a URL, or key=value pairs.")
@click.option(
    "--secret-file", required=True, type=click.Path(path_type=Path), help="The file with the secret of the webhooks."
)
@click.option(
    "--target",
    default="reference",
    show_default=True,
    shell_complete=targets,
    help="The queue whose log channel is listened to.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to serve on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, show_default=True, help="The port; 0 for any.")
@click.option(
    "--connections", type=click.IntRange(1, 100), default=8, show_default=True, help="To the database, for requests."
)
@click.option(
    "--body-bytes",
    type=click.IntRange(1, 64 * 1024 * 1024),
    default=1024 * 1024,
    show_default=True,
    help="The most that a webhook's body may have.",
)
@click.option(
    "--body-seconds",
    type=Range(0.1, 600),
    default=10.0,
    show_default=True,
    help="The longest that a webhook's body may take.",
)
@click.option(
    "--idle-seconds",
    type=Range(0.1, 3_600),
    default=60.0,
    show_default=True,
    help="A connection without a whole request for so long is closed.",
)
@click.option(
    "--stuck-seconds",
    type=Range(0.1, 3_600),
    default=30.0,
    show_default=True,
    help="A reader that takes nothing for so long is dropped.",
)
@click.option(
    "--keep-alive-seconds",
    type=Range(0.1, 600),
    default=15.0,
    show_default=True,
    help="A stream that is silent for so long says that it is there.",
)
def serve(
    conninfo: str,
    secret_file: Path,
    target: str,
    host: str,
    port: int,
    connections: int,
    body_bytes: int,
    body_seconds: float,
    idle_seconds: float,
    stuck_seconds: float,
    keep_alive_seconds: float,
) -> int:
    """Serve webhooks, status and log streams over HTTP; ends on SIGTERM or Ctrl-C.

    The first line on standard output is the URL, once requests are taken.
    """
    # Imported here, so that other commands need not load a web server.
    import trio  # noqa: PLC0415

    from pgqmodel.service.http_server import ServeOptions  # noqa: PLC0415
    from pgqmodel.service.http_server import serve as serve_forever  # noqa: PLC0415
    from pgqmodel.target import load  # noqa: PLC0415

    channel = getattr(load(target), "log_channel", "job_logs")
    if channel is None:
        message = f"the target {target} has no log channel; expected a queue that notifies of log lines. Use reference"
        raise UsageError(message)
    options = ServeOptions(
        conninfo=conninfo,
        secret=_read_secret(secret_file),
        channel=channel,
        host=host,
        port=port,
        database_connections=connections,
        body_bytes_max=body_bytes,
        body_seconds_max=body_seconds,
        idle_seconds=idle_seconds,
        stuck_seconds=stuck_seconds,
        keep_alive_seconds=keep_alive_seconds,
    )
    trio.run(serve_forever, options, click.echo)
    return 0


def _read_secret(path: Path) -> bytes:
    """The secret: the file's bytes, without a line feed at its end."""
    try:
        with path.open("rb") as file:
            found = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        message = f"--secret-file {path} cannot be read: {error.strerror}; expected a file. Write the secret into one"
        raise UsageError(message) from error
    secret = found.removesuffix(b"\n").removesuffix(b"\r")
    if not 0 < len(secret) <= SECRET_BYTES_MAX:
        message = (
            f"--secret-file {path} holds {len(secret) or 'no'} bytes; expected 1 to {SECRET_BYTES_MAX}. "
            "Write a random secret into it, such as 32 bytes in hexadecimal"
        )
        raise UsageError(message)
    return secret
