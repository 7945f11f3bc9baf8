"""The calls. Asynchronous from end to end, so that an answer holds no database connection (decision 16)."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from accounts.selectors import credential_resolve
from config.bodies import json_read
from config.db import in_db
from config.errors import AppError
from inference.errors import InferenceError
from inference.protocol import ModelSpec
from models_registry import selectors, services
from models_registry.models import Model
from models_registry.openai_api.answers import completion_lines, completion_whole, events_of, first_events
from models_registry.openai_api.completion import Completion
from models_registry.openai_api.errors import ApiError, of_app, of_inference
from models_registry.openai_api.params import ChatRequest, chat_check


@method_decorator(csrf_exempt, name="dispatch")
class OpenAIView(View):
    """A bearer token or API key, never a session: so no other site's page can make a browser ask."""

    user_id = ""

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        try:
            self.user_id = await in_db(_user_of, request.headers.get("Authorization", ""))
            response: HttpResponseBase = await super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
            return response
        except ApiError as error:
            return error.response()
        except AppError as error:
            return of_app(error).response()
        except InferenceError as error:
            return of_inference(error).response()

    async def http_method_not_allowed(  # type: ignore[override]
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return ApiError(405, _("This method is not possible here."), code="method_not_allowed").response()

    async def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return await self.http_method_not_allowed(request)


class ModelsView(OpenAIView):
    async def get(self, request: HttpRequest) -> HttpResponse:
        """What the key's owner may use."""
        rows = await in_db(lambda: list(selectors.model_list(self.user_id)))
        return JsonResponse({"object": "list", "data": [_model_body(row) for row in rows]})


class ModelView(OpenAIView):
    async def get(self, request: HttpRequest, model: str) -> HttpResponse:
        row = await in_db(selectors.model_resolve, model, self.user_id)
        return JsonResponse(_model_body(row))


class ChatCompletionsView(OpenAIView):
    async def post(self, request: HttpRequest) -> HttpResponseBase:
        asked = chat_check(_json(request))
        name, spec = await in_db(_spec, asked, self.user_id)
        events = events_of(asked, spec, self.user_id)
        completion = Completion(name, asked.use)
        if not asked.stream:
            return HttpResponse(await completion_whole(events, completion), content_type="application/json")
        first = await first_events(events)
        lines = completion_lines(first, events, completion, asked.include_usage)
        response = StreamingHttpResponse(lines, content_type="text/event-stream")
        response["X-Accel-Buffering"] = "no"
        response["Cache-Control"] = "no-cache, no-transform"
        return response


class EmbeddingsView(OpenAIView):
    async def post(self, request: HttpRequest) -> HttpResponse:
        """No engine of this house makes embeddings."""
        body = _json(request)
        model = body.get("model") if isinstance(body, dict) else None
        if not isinstance(model, str) or not model:
            raise ApiError(400, _("model must be a model's name or id."), param="model", code="invalid_value")
        row = await in_db(selectors.model_resolve, model, self.user_id)
        message = _("%(name)s makes no embeddings, and no other model here does yet.") % {"name": row.name}
        raise ApiError(400, message, param="model", code="unsupported_model")


def _user_of(header: str) -> str:
    """The id of the credential's user. Raises AppError("unauthorized", 401)."""
    kind, _space, token = header.partition(" ")
    user, _credential = credential_resolve(token.strip() if kind.lower() == "bearer" else "")
    return str(user.pk)


def _spec(asked: ChatRequest, user_id: str) -> tuple[str, ModelSpec]:
    row = selectors.model_resolve(asked.model, user_id)
    return row.name, services.model_spec(row)


def _json(request: HttpRequest) -> Any:
    try:
        return json_read(request.body)
    except RequestDataTooBig:
        raise ApiError(413, _("The request is too large."), code="too_large") from None
    except ValueError as error:
        raise ApiError(400, str(error), code="invalid_json") from None


def _model_body(model: Model) -> dict[str, Any]:
    created = int(model.created.timestamp())
    return {"id": model.name, "object": "model", "created": created, "owned_by": "hearth"}
