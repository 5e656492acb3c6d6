#!/usr/bin/env bash
# The whole pipeline on the embedded world, stage by stage: rooms with exact depth in, a trained model and a report out.
#
#   examples/embedded.sh OUT
#   SCENES=20 MODEL=tiny SFT_RATE=2e-3 FDPO_RATE=1e-4 examples/embedded.sh OUT     # smaller, from random weights
#
# Each command can be killed and given again; so can this script.
set -euo pipefail

out=${1:?where to write: examples/embedded.sh OUT}
scenes=${SCENES:-200}          # rooms to learn from
test_scenes=${TEST_SCENES:-50} # rooms to test on, which no training sees
per_scene=${PER_SCENE:-5}      # questions per room
model=${MODEL:-nano}           # what everything starts from
sft_rate=${SFT_RATE:-1e-4}
fdpo_rate=${FDPO_RATE:-1e-5}
steps=${STEPS:-0}   # stop each training after so many steps; 0: one epoch
tokens=${TOKENS:-400} # longest answer

# Rooms, and questions whose answers geometry knows
spatialreasoner scenes synthetic --count "$scenes" --seed 0 --out "$out/scenes"
spatialreasoner questions "$out/scenes" --per-scene "$per_scene" --out "$out/questions.jsonl"

# Three teachers, each with faults of its own, write in one tree per question; every step is rated, bad ones are cut off
spatialreasoner search "$out/questions.jsonl" --out "$out/search" \
    --policy scripted:careful --policy scripted:shallow --policy scripted:habitual

# Better and worse answers with a gap for each segment; and the best ones to imitate first
spatialreasoner pairs "$out/search" --out "$out/pairs"

spatialreasoner train sft --model "$model" --data "$out/pairs/sft.jsonl" --out "$out/sft" \
    learning_rate="$sft_rate" max_steps="$steps"
spatialreasoner train fdpo --model "$out/sft" --data "$out/pairs/pairs.jsonl" --out "$out/fdpo" \
    learning_rate="$fdpo_rate" max_steps="$steps"

# What was learned, on other rooms: the answers, how many are right, and how good each statement on the way is
spatialreasoner scenes synthetic --count "$test_scenes" --seed 1 --out "$out/test/scenes"
spatialreasoner questions "$out/test/scenes" --per-scene "$per_scene" --seed 1 --out "$out/test/questions.jsonl"
for trained in sft fdpo; do
    spatialreasoner generate "$out/test/questions.jsonl" --model "$out/$trained" --out "$out/test/predictions-$trained.jsonl" \
        --max-new-tokens "$tokens"
    spatialreasoner score "$out/test/predictions-$trained.jsonl" --out "$out/test/score-$trained.json"
done
python -c '
import json, sys
for line in open(sys.argv[1]):
    row = json.loads(line)
    print(json.dumps({"question_id": row["question_id"], "text": row["pred"]}))
' "$out/test/predictions-fdpo.jsonl" > "$out/test/responses.jsonl"
spatialreasoner reward "$out/test/questions.jsonl" "$out/test/responses.jsonl" --out "$out/test/rewards.jsonl"
spatialreasoner score "$out/test/predictions-fdpo.jsonl" --against "$out/test/predictions-sft.jsonl"

spatialreasoner report "$out" --out "$out/report.html"
