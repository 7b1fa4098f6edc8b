#!/usr/bin/env bash
# Indexes, exemptions and expiry of the database, before anything is deployed that asks for them. What is no
# longer declared stays: an index that an older version still asks for is deleted by hand.
. deploy/names.sh

# What there is, in the form that the lines of build/firestore.txt have.
listed() {
  gcloud firestore indexes composite list --database="$DATABASE" \
    --format='value[separator="|"](name.segment(5),queryScope,fields[].fieldPath,fields[].order)'
  gcloud firestore indexes fields list --database="$DATABASE" \
    --format='value[separator="|"](name.scope(collectionGroups),indexConfig.indexes[].queryScope,indexConfig.indexes[].fields[0].order)'
  gcloud firestore fields ttls list --database="$DATABASE" --format='value(name.scope(collectionGroups))'
}

states() {
  gcloud firestore indexes composite list --database="$DATABASE" --format='value(state)'
  gcloud firestore indexes fields list --database="$DATABASE" --format='value(indexConfig.indexes[].state)'
}

gcloud firestore databases describe --database="$DATABASE" >/dev/null ||
  { echo "The database $DATABASE is not there: run deploy/bootstrap.sh first." >&2; exit 1; }
there=$(listed)

while IFS=$'\t' read -r kind listed group field words <&3; do
  if grep -qxF -- "$listed" <<<"$there"; then continue; fi
  read -ra flags <<<"$words"
  flags+=(--collection-group="$group" --database="$DATABASE")
  case $kind in
    index)
      if ! said=$(gcloud firestore indexes composite create "${flags[@]}" 2>&1); then
        grep -qi 'already.exists' <<<"$said" || { echo "$said" >&2; exit 1; }
      fi
      ;;
    field) gcloud firestore indexes fields update "$field" "${flags[@]}" ;;
    expires) gcloud firestore fields ttls update "$field" "${flags[@]}" ;;
  esac
done 3<build/firestore.txt

left=120
while true; do
  building=$(states)
  [[ $building == *CREATING* ]] || break
  ((left-- > 0)) || { echo "Indexes are still being built after 20 minutes: deploy again when they are ready." >&2; exit 1; }
  sleep 10
done
