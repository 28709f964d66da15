"""Looks through the measurements: how many values are missing, and which stations can be used."""

import csv
from pathlib import Path

data = Path(__file__).resolve().parent.parent.parent / "data"


def main():
    with open(data / "stations.csv", newline="", encoding="utf-8") as file:
        names = {row["station"]: row["name"] for row in csv.DictReader(file)}
    values = missing = 0
    seen = set()
    with open(data / "air.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for column in ("no2_ugm3", "pm10_ugm3"):
                if row[column] in ("", "n/a"):
                    missing += 1
                else:
                    values += 1
                    seen.add(row["station"])
    print(f"{values} values, {missing} missing, {len(seen)} stations")
    return [{"station": station, "name": names.get(station, station)} for station in sorted(seen)]
