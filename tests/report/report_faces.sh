#!/bin/sh
# mcf report on runs of alignment and parsing, alone and several with their pre-training: scores as mcf eval's, curves,
# confusion and drawn faces; what is missing is said in its place.
. "$(dirname "$0")/../lib.sh"
. "$source_dir/tests/page.sh"
cd "$work" || exit 1
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
"$mcf" synth --out faces --count 60 --per-identity 4 --size 64 --seed 5 --framing close --quiet || exit 1
tiny_dense_configs
tiny_config tiny.yaml
finetune() {
    "$mcf" finetune "$@" --threads 1 --quiet
}
check "a pre-training" "$mcf" pretrain tiny.yaml --threads 1 --quiet --set 'data.train=[faces/images]' \
    --set 'model.encoder={dim: 16, depth: 4, heads: 2, mlp_ratio: 2}' --set schedule.epochs=1 --set checkpoint.every='1 epoch' \
    --out pre
for task in align parse; do
    check "$task from random weights" finetune $task.yaml --out $task-scratch
    check "$task from the pre-training" finetune $task.yaml --out $task-pre --set model.init=pre
done

check "a report of an alignment" "$mcf" report align-scratch --threads 1 --out align.html
page align.html
for id in curves scores errors faces config machine next; do
    has align.html "<h2 id=\"$id\">" "has the section $id"
done
for id in reconstructions attention features retrieval confusion; do
    check "align.html: has no section $id" sh -c "! grep -q 'id=\"$id\"\|href=\"#$id\"' align.html"
done
check "align.html: no part is missing" sh -c "! grep -q 'class=\"missing\"' align.html"
"$mcf" eval align.yaml --checkpoint align-scratch --quiet --out scores.json
# score NAME: of the last network, with two decimals
score() {
    sed -n '/"last"/,/}/p' scores.json | sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" | head -n 1 | awk '{printf "%.2f", $1}'
}
for name in nme.inter-ocular nme.inter-ocular.pose fr auc; do
    has align.html "<td class=\"n\">$(score $name)" "$name is what mcf eval finds"
done
has align.html "<td class=\"n own\">4.80</td>" "the paper's row without pre-training stands beside"
has align.html "images of 32 pixels (224 and 448)" "says how far it is from the paper's"
has align.html "scored on 12 faces (2500)" "says that it is not the paper's test set"
has align.html "data-x=\"error\"" "has cumulative errors"
has align.html "Error (NME) on validation faces" "has the validation's curve"
check "align.html: eight faces are drawn" test "$(grep -o 'alt="true and found points"' align.html | wc -l)" = 8
has align.html "mcf predict --checkpoint align-scratch" "says how to go on"

check "a report of a parsing" "$mcf" report parse-pre --threads 1 --limit 9 --out parse.html
page parse.html
has parse.html "<h2 id=\"confusion\">" "has a confusion matrix"
has parse.html "<th scope=\"row\">upper lip</th>" "names the classes"
has parse.html "9 faces of faces/LaPa" "keeps to the limit"
has parse.html "a part of the set, drawn at random" "says so"
for kind in "picture" "true classes" "found classes"; do
    check "parse.html: eight times $kind" test "$(grep -o "alt=\"$kind\"" parse.html | wc -l)" = 8
done

check "a report of five runs" "$mcf" report pre align-scratch align-pre parse-scratch parse-pre --threads 1 \
    --images faces/images --limit 12 --out all.html
page all.html
has all.html "<h2 id=\"attention\">" "the pre-training has its sections"
has all.html "<h3>Face alignment, 98 points, layout wflw</h3>" "tasks stand apart"
has all.html "<th class=\"n\" colspan=\"2\">these runs</th>" "two starts stand in one table"
has all.html "It stands for no row of the paper: it has none that starts from such a pre-training." "a start without row"
check "all.html: curves of both starts in one picture" sh -c \
    "tr '\n' ' ' <all.html | grep -o '<figure.*' | grep -q 'data-x=\"error\".*run-1.*run-2.*</figure>'"
check "all.html: both starts on the same faces" sh -c \
    "test \$(grep -o 'alt=\"true and found points\"' all.html | wc -l) = 16 && test \$(grep -o 'alt=\"true classes\"' all.html | wc -l) = 8"

check "a report that computes nothing" "$mcf" report align-scratch align-pre --quick --out quick.html
page quick.html
has quick.html "left out with --quick" "says so"
has quick.html "Error (NME) on validation faces <small>(best epoch)</small>" "has the log's scores"
mv faces gone
check "a report when the faces are gone" "$mcf" report parse-scratch --out gone.html
page gone.html
has gone.html "faces/LaPa is not there" "says that the faces are gone"
mv gone faces
rm -rf pre
check "a report when the start is gone" "$mcf" report align-pre --threads 1 --out start.html
has start.html "what model.init was trained for cannot be read" "says that the row is not known"
done_testing
