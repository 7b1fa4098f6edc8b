#!/usr/bin/env bash
# Messages that come by the clock. Their body never changes, so the event's id and time are always the same:
# what they wake looks at the clock and the documents, and nothing tells these events apart by their id.
. deploy/names.sh

publish() { # JOB SCHEDULE TOPIC EVENT
  local type=ai.energent.$4.v1 verb=create attributes=--attributes
  if gcloud scheduler jobs describe "$1" --location="$REGION" >/dev/null 2>&1; then
    verb=update attributes=--update-attributes
  fi
  gcloud scheduler jobs "$verb" pubsub "$1" --location="$REGION" --schedule="$2" --time-zone=Etc/UTC \
    --topic="$3" "$attributes=type=$type" \
    --message-body="{\"specversion\": \"1.0\", \"id\": \"$1\", \"source\": \"//energent/scheduler\", \"type\": \"$type\", \"time\": \"2025-01-01T00:00:00Z\", \"data\": {}}"
}

for topic in "${TOPICS[@]}"; do
  publish "energent-sweep-$topic-$ENVIRONMENT" '* * * * *' "$topic" outbox.sweep
done
publish "energent-billing-tick-$ENVIRONMENT" '0 * * * *' billing-events billing.tick
