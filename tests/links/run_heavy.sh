#!/usr/bin/env bash
# run_heavy.sh [NAME...]: runs heavy_NAME.sh for each NAME (default: all), one after the other, and
# prints a summary. The output also goes to $BUILD/links/NAME.log. A test that lacks something it
# needs has failed, unless $SKIP_LINKS names it: "pcie" skips heavy_pcie.sh, and pcie in the table.
set -u
: "${POSTERN:?}" "${BUILD:?}" "${SRC:?}"
here=$SRC/tests/links
logs=$BUILD/links
mkdir -p "$logs" || exit 1
names=("$@")
if [ $# = 0 ]; then
    for script in "$here"/heavy_*.sh; do
        script=${script##*/heavy_}
        names+=("${script%.sh}")
    done
fi
summary=() failed=0
for name in "${names[@]}"; do
    if [[ " ${SKIP_LINKS:-} " == *" $name "* ]]; then
        summary+=("skipped  $name: SKIP_LINKS names it")
        continue
    fi
    printf '== %s\n' "$name"
    began=$SECONDS
    bash "$here/heavy_$name.sh" 2>&1 </dev/null | tee "$logs/$name.log"
    code=${PIPESTATUS[0]}
    case $code in
    0) state=ok ;;
    77) state=MISSING ;;
    *) state=FAILED ;;
    esac
    [ $state = ok ] || failed=1
    summary+=("$(printf '%-8s %s, %d s: %s' $state "$name" $((SECONDS - began)) "$(tail -n 1 "$logs/$name.log" | cut -c 1-120)")")
done
printf '\n== check-links\n'
printf '%s\n' "${summary[@]}"
exit $failed
