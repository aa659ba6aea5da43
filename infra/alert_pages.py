"""The pages of the alert conditions in each language: what each is, what it means and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalogue.alert_texts import (
    ENGLISH,
    JAPANESE,
    AlertExplanation,
    AlertText,
    read_alert_explanations,
    read_alert_texts,
)
from catalogue.alerts import Alert, AnyAlert, CloudAlert
from catalogue.loading import ALERTS, read_alerts
from infra.markdown import NOTE, code, table

Explanations = Mapping[str, AlertExplanation]
REPAIRS = {
    "restart docker": "Dockerを再起動",
    "make network": "ネットワークのユニットを再起動",
    "attach": "正しいアドレスで接続",
    "start": "起動",
    "prune": "不要なイメージを削除",
}
STATISTICS = {"Average": "平均", "Maximum": "最大値", "Minimum": "最小値", "Sum": "合計"}


@dataclass(frozen=True)
class Language:
    """A language's words for the page, and how it says what differs between alerts."""

    title: str
    head: str
    of_hosts: str
    of_cloud: str
    explained: str
    placeholders: str
    columns: tuple[str, ...]
    """Of both tables: the alert, and its text in each language that the page has."""
    columns_of_hosts: tuple[str, ...]
    columns_of_cloud: tuple[str, ...]
    texts: Callable[[AnyAlert, Explanations], tuple[str, ...]]
    repair: Callable[[str], str]
    bound: Callable[[Alert], str]
    bound_in_cloud: Callable[[CloudAlert], str]
    lead: str
    """Before a section's meaning, with `{title}`."""
    see: str
    """Below a section's actions, with `{link}`."""


def english(root: Path) -> str:
    """Every alert condition, with what it means and what to do. One of a project's own may be without these."""
    return _page(root, read_alert_explanations(root / ENGLISH), IN_ENGLISH)


def japanese(root: Path) -> str:
    """The same in Japanese. One of a project's own may have its English text alone."""
    return _page(root, read_alert_texts(root / JAPANESE), IN_JAPANESE)


def _page(root: Path, texts: Explanations, words: Language) -> str:
    alerts = read_alerts(root / ALERTS)
    of_hosts = [alert for alert in alerts if isinstance(alert, Alert)]
    of_cloud = [alert for alert in alerts if isinstance(alert, CloudAlert)]
    rows = [
        (
            _name(alert, texts), *words.texts(alert, texts), code(alert.measure), words.bound(alert),
            words.repair(alert.repair) if alert.repair else "", code(alert.metric),
        )
        for alert in of_hosts
    ]  # fmt: skip
    rows_of_cloud = [
        (
            _name(alert, texts), *words.texts(alert, texts), code(f"{alert.cloud.namespace} {alert.cloud.metric}"),
            words.bound_in_cloud(alert),
        )
        for alert in of_cloud
    ]  # fmt: skip
    explained = [alert.alert for alert in [*of_hosts, *of_cloud] if _is_explained(alert, texts)]
    parts = [
        f"# {words.title}",
        words.head,
        f"## {words.of_hosts}",
        table((*words.columns, *words.columns_of_hosts), rows),
        f"## {words.of_cloud}",
        table((*words.columns, *words.columns_of_cloud), rows_of_cloud),
        f"## {words.explained}",
        words.placeholders,
        *(_section(name, texts[name], words) for name in explained),
    ]
    return "\n\n".join(parts) + "\n"


def _name(alert: AnyAlert, texts: Explanations) -> str:
    """It leads to the alert's section."""
    return f"[{code(alert.alert)}](#{alert.alert})" if _is_explained(alert, texts) else code(alert.alert)


def _is_explained(alert: AnyAlert, texts: Explanations) -> bool:
    return alert.alert in texts and bool(texts[alert.alert].meaning)


def _section(name: str, text: AlertExplanation, words: Language) -> str:
    title = words.lead.format(title=text.title) if text.title else ""
    actions = "\n".join(f"{number}. {action}" for number, action in enumerate(text.actions, start=1))
    link = f"[{text.see.split('#')[0]}](../{text.see.removeprefix('docs/')})" if text.see else ""
    parts = [f"### {name}", f"{title}{text.meaning}", actions, words.see.format(link=link) if link else ""]
    return "\n\n".join(part for part in parts if part)


def _both_texts(alert: AnyAlert, texts: Explanations) -> tuple[str, str]:
    """In Japanese, where it has such a text, and in English."""
    text = texts.get(alert.alert)
    return text.text if isinstance(text, AlertText) else "", alert.text


def _host_bound_en(alert: Alert) -> str:
    least = f", of {alert.least} or more" if alert.least else ""
    return f"above {alert.above}{f' within {alert.within} s' if alert.within else ''}{least}"


def _host_bound_ja(alert: Alert) -> str:
    within = f"{alert.within}秒以内に" if alert.within else ""
    least = f"（{alert.least}件以上あるとき）" if alert.least else ""
    return f"{within}{alert.above}を超える{least}"


def _cloud_bound_en(alert: CloudAlert) -> str:
    bound = f"above {alert.above}" if alert.above is not None else f"below {alert.below}"
    return f"{alert.cloud.statistic.lower()} {bound}, {alert.cloud.periods} times {alert.cloud.period} s"


def _cloud_bound_ja(alert: CloudAlert) -> str:
    bound = f"{alert.above}を超える" if alert.above is not None else f"{alert.below}未満"
    return f"{STATISTICS[alert.cloud.statistic]}が{bound}（{alert.cloud.period}秒×{alert.cloud.periods}回連続）"


IN_ENGLISH = Language(
    title="Alert conditions",
    head=(
        f"[日本語](alerts.ja.md)\n\n{NOTE.format(source=f'`{ALERTS}` and `{ENGLISH}`')}\n"
        "How hosts are monitored: [daily operation](../every-day.md#monitoring-and-automatic-repairs), "
        "[alarms in the cloud](../every-day.md#alarms-in-the-cloud)."
    ),
    of_hosts="On a host",
    of_cloud="In AWS",
    explained="Meaning and what to do",
    placeholders="Replace `HOST`, `SERVICE`, `STACK`, `UNIT` and the like with the actual names.",
    columns=("alert", "message"),
    columns_of_hosts=("what is measured", "when", "what the host does itself", "metric"),
    columns_of_cloud=("what AWS counts", "when"),
    texts=lambda alert, _: (alert.text,),
    repair=str,
    bound=_host_bound_en,
    bound_in_cloud=_cloud_bound_en,
    lead="**{title}.** ",
    see="See {link}.",
)
IN_JAPANESE = Language(
    title="アラート一覧",
    head=(
        "[English](alerts.md)\n\n"
        f"このページは `infra docs` が生成します。変更するときは `{ALERTS}` と `{JAPANESE}` を編集してください。"
        "監視の仕組み：[日常運用](../every-day.ja.md#ホストの自動監視と自動修復)、[クラウドのアラーム](../every-day.ja.md#クラウドのアラーム)"
    ),
    of_hosts="ホストのアラート",
    of_cloud="AWSのアラート",
    explained="意味と対応",
    placeholders="`HOST`、`SERVICE`、`STACK`、`UNIT` などは、実際の名前に置き換えます。",
    columns=("アラート", "表示文", "英語の表示文"),
    columns_of_hosts=("測定値", "条件", "自動修復", "メトリクス"),
    columns_of_cloud=("AWSの値", "条件"),
    texts=_both_texts,
    repair=REPAIRS.__getitem__,
    bound=_host_bound_ja,
    bound_in_cloud=_cloud_bound_ja,
    lead="**{title}。** ",
    see="参照：{link}",
)
