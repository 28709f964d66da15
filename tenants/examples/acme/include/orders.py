"""Orders of the pass shop as they are published, and what is left of them after cleaning."""

from __future__ import annotations

import csv
from pathlib import Path

data = Path(__file__).resolve().parent.parent / "data"


def districts() -> dict[str, dict]:
    with open(data / "districts.csv", newline="", encoding="utf-8") as file:
        return {row["code"]: {"name": row["name"], "inhabitants": int(row["inhabitants"])} for row in csv.DictReader(file)}


def clean_orders() -> tuple[list[dict], dict[str, int]]:
    """Orders that can be counted, and how many were refused for which reason. A doubled order counts once."""
    known = districts()
    orders: dict[str, dict] = {}
    refused = {"unknown district": 0, "no price": 0, "refund": 0, "doubled": 0}
    with open(data / "orders.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            reason, cents = None, read_cents(row["price_eur"])
            district = row["district"].strip().upper()
            if row["order_id"] in orders:
                reason = "doubled"
            elif district not in known:
                reason = "unknown district"
            elif cents is None:
                reason = "no price"
            elif cents < 0:
                reason = "refund"
            if reason is not None:
                refused[reason] += 1
                continue
            orders[row["order_id"]] = {
                "at": row["ordered_at"], "district": district, "product": row["product"], "cents": cents,
            }  # fmt: skip
    return list(orders.values()), refused


def read_cents(price: str) -> int | None:
    """`4.50`, ` 4,50` and `-4.50`; None where the cash desk wrote nothing."""
    text = price.strip().replace(",", ".")
    return None if text == "" else round(float(text) * 100)
