#!/bin/bash
# Who may include whom. host/: a folder includes itself and what lies below it. plugins/ and samples/:
# of this project the SDK's headers alone. plugin-sdk/: nothing of the host. Prints each line that breaks
# this; exit status 1 if there is one.
set -euo pipefail
cd "$(dirname "$0")/.."

layers=(core process config app routing http worker conformance supervisor admin dev cli)
broken=0

level_of() {
  local i
  for i in "${!layers[@]}"; do
    [[ ${layers[i]} == "$1" ]] && { echo "$i"; return; }
  done
  return 1
}

report() {
  echo "$1: $2"
  broken=1
}

# includes FOLDER...: "FILE:LINE:HEADER" of each include of a file there, the form of quotes dropped.
includes() {
  local folders=() folder
  for folder in "$@"; do [[ -d $folder ]] && folders+=("$folder"); done
  ((${#folders[@]})) || return 0
  grep -rnE --include='*.[ch]' --include='*.[ch]pp' '^[[:space:]]*#[[:space:]]*include' "${folders[@]}" |
    sed -nE 's/^([^:]+:[0-9]+):[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]([^>"]+)[>"].*/\1:\2/p' || true
}

while IFS=: read -r file line header; do
  folder=${file#host/}
  [[ $folder == */* ]] && folder=${folder%%/*} || folder=cli
  target=${header%%/*}
  if ! own=$(level_of "$folder"); then
    report "$file:$line" "host/$folder is no layer; the layers are ${layers[*]}"
  elif [[ $header == ../* || $header == */../* ]]; then
    report "$file:$line" "$header climbs out of its folder; name it from host/"
  elif [[ $header == */* && -e host/$header ]] && wanted=$(level_of "$target") && ((wanted > own)); then
    report "$file:$line" "$folder includes $header, which lies above it"
  elif [[ $header != */* && -e ${file%/*}/$header ]]; then
    report "$file:$line" "name $header from host/, as in \"$folder/$header\""
  elif [[ $header == boost/beast/* && $folder != http && $folder != admin && $folder != dev ]]; then
    report "$file:$line" "only host/http, host/admin for the operator and host/dev for the developer use Beast"
  fi
done < <(includes host)

while IFS=: read -r file line header; do
  if [[ $header == ../* || $header == */../* ]]; then
    report "$file:$line" "$header climbs out of its folder"
  elif [[ $header == */* && -e host/$header && ! -e ${file%/*}/$header ]]; then
    report "$file:$line" "$header is the host's; an app includes sonicorn/... alone"
  elif [[ $header == sonicorn/* && ! -e plugin-sdk/include/$header &&
          ! -e plugin-sdk/testing/include/$header ]]; then
    report "$file:$line" "$header is not in the SDK"
  fi
done < <(includes plugin-sdk plugins samples)

exit "$broken"
