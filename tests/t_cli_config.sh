#!/bin/sh
# t_cli_config.sh - halfspec config: origins, precedence, and that its output is a configuration again.
. "$srcdir/tests/lib.sh"
make_scratch
cat > "$scratch/a.conf" << 'END'
# everything a line can look like
net = "C8k3{param=spatial} R GA F4"   # quoted
lr=2e-3
lr.conv1 = 1e-4
conv.boundary = periodic
eval-every = 7
END
"$HALFSPEC" config "$scratch/a.conf" batch=64 > "$scratch/out" 2> "$scratch/err"
check "config" [ $? = 0 ]
line() { grep -E "^$1 +=" "$scratch/out"; }
check "a value from the file says its line" grep -qE "^lr +=.* 0\.002 .*# .*a\.conf:3$" "$scratch/out"
check "a value from the command line says so" grep -qE '^batch += 64 +# command line$' "$scratch/out"
check "a default says so" grep -qE '^momentum += 0\.9 +# default$' "$scratch/out"
check "a layer's own value is listed" grep -qE "^lr\.conv1 += 0\.0001 +# .*a\.conf:4$" "$scratch/out"
check "an alias is its key" grep -qE '^boundary += periodic ' "$scratch/out"
check "quotes are gone" grep -qE '^net += C8k3\{param=spatial\} R GA F4 ' "$scratch/out"

"$HALFSPEC" config "$scratch/out" > "$scratch/again"
strip() { sed 's/ *# [^#]*$//' "$1"; }
strip "$scratch/out" > "$scratch/x"
strip "$scratch/again" > "$scratch/y"
check "what config prints is a configuration with the same values" cmp -s "$scratch/x" "$scratch/y"

missing=
for key in $("$HALFSPEC" help --keys); do
    line "$key" > /dev/null || missing="$missing $key"
done
check "config prints every key ($missing)" [ -z "$missing" ]

"$HALFSPEC" config "$scratch/a.conf" --json > "$scratch/json"
check "config --json" grep -q '"lr.conv1": 0.0001' "$scratch/json"
if [ -n "$PYTHON" ] && [ "$PYTHON" != : ]; then
    check "is JSON" "$PYTHON" -c 'import json, sys; d = json.load(open(sys.argv[1])); assert d["batch"] == 128 and d["reproducible"] is False' "$scratch/json"
fi
LC_ALL=de_DE.UTF-8 "$HALFSPEC" config lr=0.5 > "$scratch/out"
check "a locale changes nothing" grep -qE '^lr += 0\.5 ' "$scratch/out"
"$HALFSPEC" config momentum=0.5 > "$scratch/out"
check "without CONF the defaults" grep -qE '^momentum += 0\.5 ' "$scratch/out"
done_testing
