"""The pages of the alert conditions: what each is, and in Japanese also what it means and what to do."""

from pathlib import Path

from catalogue.alert_texts import JAPANESE, AlertText, read_alert_texts
from catalogue.alerts import Alert, AnyAlert, CloudAlert
from catalogue.loading import ALERTS, read_alerts
from infra.markdown import code, page, table

REPAIRS = {
    "restart docker": "Dockerを再起動",
    "make network": "ネットワークのユニットを再起動",
    "attach": "正しいアドレスで接続",
    "start": "起動",
    "prune": "不要なイメージを削除",
}
STATISTICS = {"Average": "平均", "Maximum": "最大値", "Minimum": "最小値", "Sum": "合計"}


def english(root: Path) -> str:
    """Every alert condition, and what is done about it."""
    of_hosts, of_cloud = _read(root)
    rows = [
        (code(alert.alert), alert.measure, _limit_text(alert), alert.text, alert.repair or "", code(alert.metric))
        for alert in of_hosts
    ]
    rows_of_cloud = [
        (code(alert.alert), f"{alert.cloud.namespace} {alert.cloud.metric}", _bound_in_cloud(alert), alert.text)
        for alert in of_cloud
    ]
    body = "\n\n".join(
        [
            "## On a host",
            table(("alert", "what is measured", "when", "what is said", "what the host does itself", "metric"), rows),
            "## In AWS",
            table(("alert", "what AWS counts", "when", "what is said"), rows_of_cloud),
        ]
    )
    head = "What they mean for you: [every day](../every-day.md). [日本語](alerts.ja.md), with what to do about each."
    return page("Alert conditions", f"`{ALERTS}`", head, body)


def japanese(root: Path) -> str:
    """The same, with what each one means and what to do. One of a project's own may have its English text alone."""
    of_hosts, of_cloud = _read(root)
    texts = read_alert_texts(root / JAPANESE)
    rows = [
        (
            *_names_and_texts(alert, texts), code(alert.measure), _bound_ja(alert),
            REPAIRS[alert.repair] if alert.repair else "", code(alert.metric),
        )
        for alert in of_hosts
    ]  # fmt: skip
    rows_of_cloud = [
        (
            *_names_and_texts(alert, texts), code(f"{alert.cloud.namespace} {alert.cloud.metric}"),
            _bound_in_cloud_ja(alert),
        )
        for alert in of_cloud
    ]  # fmt: skip
    columns = ("アラート", "表示文", "英語の表示文")
    parts = [
        "## ホストのアラート",
        table((*columns, "測定値", "条件", "自動修復", "メトリクス"), rows),
        "## AWSのアラート",
        table((*columns, "AWSの値", "条件"), rows_of_cloud),
        "## 意味と対応",
        "`HOST`、`SERVICE`、`STACK`、`UNIT` などは、実際の名前に置き換えます。",
        *(_section(alert.alert, texts[alert.alert]) for alert in [*of_hosts, *of_cloud] if _is_explained(alert, texts)),
    ]
    head = (
        f"このページは `infra docs` が生成します。変更するときは `{ALERTS}` と `{JAPANESE}` を編集してください。\n"
        "監視の仕組み：[日常運用](../every-day.ja.md#ホストの自動監視と自動修復)、[クラウドのアラーム](../every-day.ja.md#クラウドのアラーム)"
    )
    return "\n\n".join(["# アラート一覧", "[English](alerts.md)", head, *parts]) + "\n"


def _read(root: Path) -> tuple[list[Alert], list[CloudAlert]]:
    alerts = read_alerts(root / ALERTS)
    return [one for one in alerts if isinstance(one, Alert)], [one for one in alerts if isinstance(one, CloudAlert)]


def _names_and_texts(alert: AnyAlert, texts: dict[str, AlertText]) -> tuple[str, str, str]:
    """Its name, which leads to its section, and its text in both languages."""
    text = texts.get(alert.alert)
    name = f"[{code(alert.alert)}](#{alert.alert})" if _is_explained(alert, texts) else code(alert.alert)
    return name, text.text if text else "", alert.text


def _is_explained(alert: AnyAlert, texts: dict[str, AlertText]) -> bool:
    return alert.alert in texts and bool(texts[alert.alert].meaning)


def _section(name: str, text: AlertText) -> str:
    lines = "\n".join(f"{number}. {action}" for number, action in enumerate(text.actions, start=1))
    see = f"\n\n参照：[{text.see.split('#')[0]}](../{text.see.removeprefix('docs/')})" if text.see else ""
    title = f"**{text.title}。** " if text.title else ""
    return f"### {name}\n\n{title}{text.meaning}\n\n{lines}{see}"


def _limit_text(alert: Alert) -> str:
    least = f", of {alert.least} or more" if alert.least else ""
    return f"above {alert.above}{f' within {alert.within} s' if alert.within else ''}{least}"


def _bound_ja(alert: Alert) -> str:
    within = f"{alert.within}秒以内に" if alert.within else ""
    least = f"（{alert.least}件以上あるとき）" if alert.least else ""
    return f"{within}{alert.above}を超える{least}"


def _bound_in_cloud(alert: CloudAlert) -> str:
    bound = f"above {alert.above}" if alert.above is not None else f"below {alert.below}"
    return f"{alert.cloud.statistic.lower()} {bound}, {alert.cloud.periods} times {alert.cloud.period} s"


def _bound_in_cloud_ja(alert: CloudAlert) -> str:
    bound = f"{alert.above}を超える" if alert.above is not None else f"{alert.below}未満"
    return f"{STATISTICS[alert.cloud.statistic]}が{bound}（{alert.cloud.period}秒×{alert.cloud.periods}回連続）"
