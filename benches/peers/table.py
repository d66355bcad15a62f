"""What was measured, for people and for machines."""

import statistics

from .measure import Sample

BASE = "pingora"
COLUMNS = ("requests_per_second", "cpu_us_per_request", "p50_us", "p99_us", "rss_mib")


def medians(samples: list[Sample]) -> dict[str, float]:
    return {column: statistics.median(getattr(sample, column) for sample in samples) for column in COLUMNS}


def ratios(results: dict[str, list[Sample]]) -> dict[str, float]:
    """CPU per request against the bare proxy's in the same round, and the median of that."""
    base = results.get(BASE, [])
    found = {}
    for name, samples in results.items():
        pairs = [ours.cpu_us_per_request / bare.cpu_us_per_request for ours, bare in zip(samples, base, strict=False)]
        if pairs:
            found[name] = statistics.median(pairs)
    return found


def render(results: dict[str, list[Sample]], about: dict[str, str]) -> str:
    lines = [
        f"{'proxy':27}{'requests/s':>11}{'CPU µs/req':>12}{'(min-max)':>14}{'× bare':>8}"
        f"{'p50 ms':>8}{'p99 ms':>8}{'MiB':>6}  what it does"
    ]
    against = ratios(results)
    for name, samples in results.items():
        middle = medians(samples)
        spent = [sample.cpu_us_per_request for sample in samples]
        span = f"({min(spent):.1f}-{max(spent):.1f})"
        ratio = f"{against[name]:.2f}" if name in against else "-"
        lines.append(
            f"{name:27}{middle['requests_per_second']:11.0f}{middle['cpu_us_per_request']:12.1f}{span:>14}{ratio:>8}"
            f"{middle['p50_us'] / 1000:8.2f}{middle['p99_us'] / 1000:8.2f}{middle['rss_mib']:6.0f}  {about[name]}"
        )
        if samples[0].came:
            held, came = (statistics.median(getattr(sample, what) for sample in samples) for what in ("held", "came"))
            lines[-1] += f": {held:.0f} of them at a time, {came:.0f} in all"
    return "\n".join(lines)


def document(results: dict[str, list[Sample]], missing: dict[str, str], setting: dict) -> dict:
    against = ratios(results)
    return {
        "setting": setting,
        "missing": missing,
        "proxies": {
            name: {
                "median": medians(samples),
                "cpu_against_bare": against.get(name),
                "rounds": [sample.as_dict() for sample in samples],
            }
            for name, samples in results.items()
        },
    }
