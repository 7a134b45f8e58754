"""Whether every operation was called as often as it has to be: fewer requests are no failure to schemathesis."""
import collections
import json
import sys

report, wanted = sys.argv[1], int(sys.argv[2])
calls = collections.Counter()
with open(report, encoding="utf-8") as file:
    for line in file:
        ended = json.loads(line).get("ScenarioFinished")
        # What is outside of the API takes nothing, so that one request is all there is.
        if ended and ended["phase"] == "fuzzing" and " /api/" in ended["recorder"]["label"]:
            calls[ended["recorder"]["label"]] += len(ended["recorder"].get("cases", {}))

few = {name: count for name, count in calls.items() if count < wanted}
for name, count in sorted(few.items()):
    print(f"{name}: {count} requests made up, not {wanted}")
if few:
    sys.exit(1)
print(f"at least {wanted} requests made up for each of {len(calls)} operations")
