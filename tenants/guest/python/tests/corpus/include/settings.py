SETTINGS = {"team": "blue"}
