"""The figures as docs/performance.md shows them."""

from typing import Any


def table(figures: dict[str, Any]) -> str:
    """Two tables in Markdown: the guarded route beside other stacks, and the rest."""
    before, after = figures["load_average"]
    lines = [
        f"{figures['date']}, {figures['machine']}, load average {before:.1f} before and {after:.1f} after.",
        "",
        "| guarded route, requests/s (p50, p99) | 16 connections | 64 connections | 16, instant | 64, instant |",
        "|---|---|---|---|---|",
    ]
    for name in figures["guarded"]["embedded"]["16"]:
        cells = [
            figures["guarded"][database][at].get(name) for database in ("embedded", "instant") for at in ("16", "64")
        ]
        lines.append(f"| {name} | " + " | ".join(_rate(cell) for cell in cells) + " |")
    cpu, storm, memory = figures["cpu"], figures["guarded_in_storm"], figures["worker_memory_mib"]
    service = figures["guarded"]["embedded"]["16"]["authservice"]
    lines += [
        "",
        "| what | figure |",
        "|---|---|",
        f"| CPU of a guarded request against a bare Flask route with the same find_one | {cpu['guarded_us']:.0f} us / "
        f"{cpu['bare_flask_us']:.0f} us = {cpu['ratio']:.2f} |",
    ]
    for cost, found in figures["sign_in"].items():
        for connections in ("8", "32"):
            rate, ratio, limit = found[connections]["rate"], found[connections]["ratio"], found["bcrypt_limit"]
            lines.append(
                f"| sign-ins, {connections} connections, bcrypt cost {cost} | "
                f"{rate:.1f}/s of {limit:.1f} raw checks/s = {ratio:.2f} |"
            )
    lines += [
        f"| guarded route while 64 clients sign in | p50 {storm['p50_ms']:.1f} ms, p99 {storm['p99_ms']:.1f} ms |",
        f"| CPU of a guarded request, in the workers and in the embedded database | {service['service_cpu_us']:.0f} us "
        f"and {service['database_cpu_us']:.0f} us |",
        f"| start-up to the first 200 | {figures['start_up_seconds']:.2f} s |",
        f"| memory of a worker (PSS) | {max(memory):.0f} MiB |",
    ]
    return "\n".join(lines)


def _rate(found: dict[str, float] | None) -> str:
    if found is None:
        return "not measured"
    return f"{found['rate']:,.0f} ({found['p50_ms']:.0f} ms, {found['p99_ms']:.0f} ms)"
