"""``awaaztwin voice``: the organisation's own voices."""

import typer

from services.cli.voice import bundle, change, create, listing, preview, sample

app = typer.Typer(
    help="Create voices from recordings, and manage them.", no_args_is_help=True, rich_markup_mode="markdown"
)
app.command("create")(create.create)
app.command("list")(listing.list_voices)
app.command("show")(listing.show)
app.command("script")(listing.script)
app.command("preview")(preview.preview)
app.command("alias")(change.alias)
app.command("unalias")(change.unalias)
app.command("prepare")(change.prepare)
app.command("consent")(change.consent)
app.add_typer(sample.app, name="sample")
app.command("export")(bundle.export)
app.command("import")(bundle.import_)
app.command("delete")(change.delete)
