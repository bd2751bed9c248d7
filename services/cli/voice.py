"""``awaaztwin voice``: the organisation's own voices."""

import typer

from services.cli import voice_bundle, voice_change, voice_create, voice_list, voice_preview, voice_sample

app = typer.Typer(
    help="Make voices from recordings, and manage them.", no_args_is_help=True, rich_markup_mode="markdown"
)
app.command("create")(voice_create.create)
app.command("list")(voice_list.list_voices)
app.command("show")(voice_list.show)
app.command("script")(voice_list.script)
app.command("preview")(voice_preview.preview)
app.command("alias")(voice_change.alias)
app.command("unalias")(voice_change.unalias)
app.command("prepare")(voice_change.prepare)
app.command("consent")(voice_change.consent)
app.add_typer(voice_sample.app, name="sample")
app.command("export")(voice_bundle.export)
app.command("import")(voice_bundle.import_)
app.command("delete")(voice_change.delete)
