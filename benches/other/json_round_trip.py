import json


def make(n):
    people = []
    for i in range(n):
        people.append({
            "id": i, "name": f"person {i}", "tags": [f"t{i % 7}", f"t{i % 11}"],
            "score": i / 4, "active": i % 3 == 0, "boss": None,
        })
    return {"version": 1, "people": people}


doc = make(1000)
for round in range(60):
    doc = json.loads(json.dumps(doc))
    doc["version"] += 1
    for p in doc["people"]:
        p["score"] += 0.25
print(doc["version"], sum(p["score"] for p in doc["people"]), json.dumps(doc["people"][999]["tags"]))
