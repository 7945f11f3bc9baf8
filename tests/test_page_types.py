"""The page's REST types are the server's own: what `npm run types` would write is what is committed."""

import json
import subprocess
from pathlib import Path

from django.utils import translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer

PAGE = Path(__file__).resolve().parents[1] / "frontend"
TYPES = PAGE / "src" / "shared" / "types" / "api.d.ts"
MAKER = PAGE / "node_modules" / "openapi-typescript" / "bin" / "cli.js"


def test_the_pages_types_are_what_the_server_says_now(tmp_path: Path) -> None:
    with translation.override("en"):
        schema = SchemaGenerator().get_schema(request=None, public=True)
    document = OpenApiJsonRenderer().render(schema, renderer_context={})
    assert json.loads(document)["components"]["schemas"]["Model"], "the schema has lost its models"

    out = tmp_path / "api.d.ts"
    subprocess.run(
        ["node", str(MAKER), "--output", str(out)], input=document, cwd=PAGE, check=True, timeout=60
    )
    assert out.read_text("utf-8") == TYPES.read_text("utf-8"), "run `npm run types` in frontend/"
