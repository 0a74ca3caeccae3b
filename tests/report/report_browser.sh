#!/bin/sh
# The report in headless Chromium, light and dark, wide and narrow: no complaint of the browser, no request, nothing wider
# than the screen, the script answers the pointer. Skipped where there is no Chromium.
for name in chromium chromium-browser google-chrome; do
    command -v $name >/dev/null && chromium=$name && break
done
if [ -z "${chromium:-}" ]; then
    echo "skipped: no chromium here (apt-get install chromium)"
    exit 77
fi
. "$(dirname "$0")/../lib.sh"
cd "$work" || exit 1
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
tiny_config tiny.yaml
synthetic_faces faces 6 8 40 1
for seed in 1 2; do
    check "run $seed" "$mcf" pretrain tiny.yaml --threads 1 --quiet --set 'data.train=[faces]' --set seed=$seed \
        --out "run $seed"
done
check "one run" "$mcf" report "run 1" --threads 1 --out one.html
check "two runs" "$mcf" report "run 1" "run 2" --threads 1 --out both.html
"$mcf" synth --out labelled --count 40 --per-identity 4 --size 64 --seed 5 --framing close --quiet || exit 1
tiny_dense_configs labelled
for task in align parse; do
    check "a run of $task" "$mcf" finetune $task.yaml --threads 1 --quiet --set schedule.epochs=2 \
        --set schedule.milestones=[] --out $task
done
check "two tasks" "$mcf" report align parse --threads 1 --out dense.html

# browse PAGE [OPTION]...: what the browser says is in errors, what it prints in output
browse() {
    address=file://$work/$1
    shift
    timeout 120 $chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
        --no-first-run --user-data-dir="$work/profile" --enable-logging=stderr --virtual-time-budget=3000 "$@" \
        "$address" >"$work/output" 2>"$work/errors"
}
# No window is narrower than 500 pixels: a frame is, in frame.html.
frame() {
    cat >frame.html <<HTML
<!doctype html><style>body{margin:0}iframe{border:0}</style><iframe src="$1" width="$2" height="2600"></iframe>
<script>addEventListener('message',e=>{document.title=e.data})</script>
HTML
}
picture() {
    check "$1, $2: drawn" test -s "$2.png"
    # A page that is one colour compresses to nothing.
    check "$1, $2: not empty" sh -c "[ \$(wc -c <$2.png) -gt 20000 ]"
    check "$1, $2: the console is empty" sh -c "! grep CONSOLE '$work/errors'"
}
# probe PAGE WIDTH [OPTION]...: a copy of the page, so wide, moves the pointer over every chart and tells what it measures
probe() {
    sed -e "s|</body>|<script>addEventListener('load',()=>{const q=s=>[...document.querySelectorAll(s)];\
for(const s of q('.chart svg')){const b=s.getBoundingClientRect();s.dispatchEvent(new PointerEvent('pointermove',\
{clientX:b.left+b.width/2,clientY:b.top+b.height/2}))}\
parent.postMessage(['tips',q('.tip').filter(t=>!t.hidden\&\&/(step\|error) [0-9]+.+: [-0-9.e]+/.test(t.textContent)).length,'of',\
q('.chart').length,'broken',q('img').filter(i=>!i.complete\|\|!i.naturalWidth).length,'width',innerWidth,'wide',\
document.documentElement.scrollWidth>innerWidth?1:0,'requests',performance.getEntriesByType('resource')\
.filter(e=>!e.name.startsWith('data:')).length,'ground',getComputedStyle(document.body).backgroundColor].join(' '),'*')})\
</script></body>|" "$1" >probe.html
    frame probe.html "$2"
    shift 2
    browse frame.html --window-size=1200,2600 --dump-dom "$@"
    title=$(grep -o '<title>tips.*</title>' "$work/output")
}
says() {
    check "$1" sh -c "echo '$title' | grep -Eq '$2' || { echo 'the page says: $title'; exit 1; }"
}
dark=--blink-settings=preferredColorScheme=0
for page in one.html both.html dense.html; do
    for width in 1200 390; do
        frame $page $width
        browse frame.html --window-size=$width,2600 --screenshot="$work/light.png"
        picture "$page at $width pixels" light
        browse frame.html --window-size=$width,2600 $dark --screenshot="$work/dark.png"
        picture "$page at $width pixels" dark
        check "$page at $width pixels: dark is another picture" sh -c "! cmp -s light.png dark.png"
    done
    probe $page 1200
    says "$page: the pointer shows values in every chart" 'tips ([1-9][0-9]*) of \1 '
    says "$page: no broken picture, nothing too wide, no request" 'broken 0 width 1200 wide 0 requests 0'
    says "$page: light ground" 'ground rgb\(255, 255, 255\)'
    probe $page 1200 $dark
    says "$page: dark ground" 'ground rgb\(17, 21, 26\)'
    probe $page 390
    says "$page on a phone: nothing too wide" 'broken 0 width 390 wide 0 requests 0'
    browse $page --print-to-pdf="$work/page.pdf"
    check "$page: prints" sh -c "head -c 5 page.pdf | grep -q '%PDF-'"
done
done_testing
