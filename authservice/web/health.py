"""Liveness, readiness and metrics."""

from flask import Flask, Response, request
from marshmallow import Schema, fields

from authservice import errors, metrics
from authservice.state import current_state
from authservice.store import client, indexes
from authservice.web.blueprint import Blueprint

AT_METRICS_ADDRESS = (
    "authservice.at_metrics_address"  # in the WSGI environ of requests to that address, set by the worker
)
METRICS_MEDIA_TYPE = "text/plain; version=1.0.0; charset=utf-8"

blueprint = Blueprint("health", __name__, description="Liveness and readiness")
metrics_blueprint = Blueprint("metrics", __name__, description="Metrics for Prometheus")


class HealthSchema(Schema):
    status = fields.String(required=True, metadata={"enum": ["ok"]})


def keep_apart(app: Flask, metrics_at: str) -> None:
    """If metrics have an address of their own, serve nothing else there but /healthz."""
    if ":" in metrics_at:
        app.before_request(_serve_nothing_else_there)


@blueprint.route("/healthz")
@blueprint.response(200, HealthSchema)
@blueprint.refusals()
def check_health() -> dict[str, str]:
    """Say whether the process lives

    It does not ask the database: if that is down, a restart of the service does not help.
    """
    return {"status": "ok"}


@blueprint.route("/readyz")
@blueprint.response(200, HealthSchema)
@blueprint.refusals(errors.UsersCollectionUnfit, errors.DatabaseUnavailable)
def check_readiness() -> dict[str, str]:
    """Say whether requests can be served

    It is ready if the database answers within its time-out and accepts new users.
    """
    client.ping()
    indexes.ensure_indexes()
    return {"status": "ok"}


@metrics_blueprint.route("/metrics")
@metrics_blueprint.response(200, content_type=METRICS_MEDIA_TYPE, schema={"type": "string"})
@metrics_blueprint.refusals(errors.NotFound)
def show_metrics() -> Response:
    """Show the metrics of all workers to Prometheus

    FLASK_METRICS can switch this off, or move it to an address that serves only this and /healthz.
    """
    if current_state().settings["METRICS"] != "on" and AT_METRICS_ADDRESS not in request.environ:
        raise errors.NotFound
    return Response(metrics.exposition(), content_type=METRICS_MEDIA_TYPE)


def _serve_nothing_else_there() -> None:
    """The address in FLASK_METRICS is for operators, not for users."""
    rule = request.url_rule
    if AT_METRICS_ADDRESS in request.environ and (rule is None or rule.rule not in ("/metrics", "/healthz")):
        raise errors.NotFound
