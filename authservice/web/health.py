"""Whether the service lives and is ready, and its figures."""

from flask import Flask, Response, request
from marshmallow import Schema, fields

from authservice import errors, metrics
from authservice.state import current_state
from authservice.store import client, indexes
from authservice.web.blueprint import Blueprint

AT_METRICS_ADDRESS = "authservice.at_metrics_address"  # in the WSGI environ of what came in there, set by the worker
METRICS_MEDIA_TYPE = "text/plain; version=1.0.0; charset=utf-8"

blueprint = Blueprint("health", __name__, description="Whether the service lives and is ready")
metrics_blueprint = Blueprint("metrics", __name__, description="Figures for Prometheus")


class HealthSchema(Schema):
    status = fields.String(required=True, metadata={"enum": ["ok"]})


def keep_apart(app: Flask, metrics_at: str) -> None:
    """Where the figures have an address of their own, nothing else is served there."""
    if ":" in metrics_at:
        app.before_request(_serve_nothing_else_there)


@blueprint.route("/healthz")
@blueprint.response(200, HealthSchema)
@blueprint.refusals()
def check_health() -> dict[str, str]:
    """Say whether the process lives

    It asks nobody else: a database that is away is no reason to restart the service.
    """
    return {"status": "ok"}


@blueprint.route("/readyz")
@blueprint.response(200, HealthSchema)
@blueprint.refusals(errors.UsersCollectionUnfit, errors.DatabaseUnavailable)
def check_readiness() -> dict[str, str]:
    """Say whether requests can be served

    They can when the database answers within its time-out, and can take new users.
    """
    client.ping()
    indexes.ensure_indexes()
    return {"status": "ok"}


@metrics_blueprint.route("/metrics")
@metrics_blueprint.response(200, content_type=METRICS_MEDIA_TYPE, schema={"type": "string"})
@metrics_blueprint.refusals(errors.NotFound)
def show_metrics() -> Response:
    """Show the figures of all workers to Prometheus

    FLASK_METRICS can switch this off, or keep it to an address that serves nothing else but /healthz.
    """
    if current_state().settings["METRICS"] != "on" and AT_METRICS_ADDRESS not in request.environ:
        raise errors.NotFound
    return Response(metrics.exposition(), content_type=METRICS_MEDIA_TYPE)


def _serve_nothing_else_there() -> None:
    """The address that FLASK_METRICS names is open to those who may see figures, and not to users."""
    rule = request.url_rule
    if AT_METRICS_ADDRESS in request.environ and (rule is None or rule.rule not in ("/metrics", "/healthz")):
        raise errors.NotFound
