import json
from datetime import datetime
from pathlib import Path

with open(Path(__file__).parent.parent / "config" / "orders.json") as file:
    START = datetime.fromisoformat(json.load(file)["start"])
