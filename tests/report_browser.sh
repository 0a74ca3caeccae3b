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
. "$(dirname "$0")/lib.sh"
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

# browse PAGE [OPTION]...: what the browser says is in errors, what it prints in output
browse() {
    page=$1
    shift
    timeout 120 $chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
        --no-first-run --user-data-dir="$work/profile" --enable-logging=stderr --virtual-time-budget=3000 "$@" \
        "file://$work/$page" >"$work/output" 2>"$work/errors"
}
picture() {
    check "$1, $2: drawn" test -s "$2.png"
    # A page that is one colour compresses to nothing.
    check "$1, $2: not empty" sh -c "[ \$(wc -c <$2.png) -gt 20000 ]"
    check "$1, $2: the console is empty" sh -c "! grep CONSOLE '$work/errors'"
}
# A copy of the page that moves the pointer over every chart and writes what it measures into its title.
probe() {
    sed -e "s|</body>|<script>addEventListener('load',()=>{const q=s=>[...document.querySelectorAll(s)];\
for(const s of q('.chart svg')){const b=s.getBoundingClientRect();s.dispatchEvent(new PointerEvent('pointermove',\
{clientX:b.left+b.width/2,clientY:b.top+b.height/2}))}\
document.title=['tips',q('.tip').filter(t=>!t.hidden\&\&/step [0-9]+.+: [-0-9.e]+/.test(t.textContent)).length,'of',\
q('.chart').length,'broken',q('img').filter(i=>!i.complete\|\|!i.naturalWidth).length,'wide',\
document.documentElement.scrollWidth>innerWidth?1:0,'requests',performance.getEntriesByType('resource')\
.filter(e=>!e.name.startsWith('data:')).length,'ground',getComputedStyle(document.body).backgroundColor].join(' ')})\
</script></body>|" "$1" >probe.html
    shift
    browse probe.html --dump-dom "$@"
    title=$(grep -o '<title>tips.*</title>' "$work/output")
}
for page in one.html both.html; do
    for width in 1200 390; do
        browse $page --window-size=$width,2600 --screenshot="$work/light.png"
        picture "$page at $width pixels" light
        browse $page --window-size=$width,2600 --blink-settings=preferredColorScheme=0 --screenshot="$work/dark.png"
        picture "$page at $width pixels" dark
        check "$page at $width pixels: dark is another picture" sh -c "! cmp -s light.png dark.png"
    done
    probe $page --window-size=1200,900
    check "$page: the pointer shows values in every chart" sh -c \
        "echo '$title' | grep -Eq 'tips ([1-9][0-9]*) of \1 '"
    check "$page: no broken picture, nothing too wide, no request" sh -c "echo '$title' | grep -q 'broken 0 wide 0 requests 0'"
    check "$page: light ground" sh -c "echo '$title' | grep -q 'ground rgb(255, 255, 255)'"
    probe $page --window-size=1200,900 --blink-settings=preferredColorScheme=0
    check "$page: dark ground" sh -c "echo '$title' | grep -q 'ground rgb(17, 21, 26)'"
    probe $page --window-size=390,800
    check "$page on a phone: nothing too wide" sh -c "echo '$title' | grep -q 'broken 0 wide 0 requests 0'"
    browse $page --print-to-pdf="$work/page.pdf"
    check "$page: prints" sh -c "head -c 5 page.pdf | grep -q '%PDF-'"
done
done_testing
