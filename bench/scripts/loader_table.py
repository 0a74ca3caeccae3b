"""usage: loader_table.py READINGS.jsonl [--strict]: medians of bench/scripts/loader.sh and their ratios to torchvision."""
import collections
import json
import statistics
import sys

TARGET = 2.5


def main():
    rates = collections.defaultdict(list)
    versions = ""
    for line in open(sys.argv[1], encoding="utf-8"):
        reading = json.loads(line)
        rates[reading["set"], reading["who"]].append(reading["images_per_second"])
        if "torchvision" in reading:
            versions = f"torchvision {reading['torchvision']}, Pillow {reading['pillow']}"
    missed = False
    print(f"images a second of one core, medians; {versions}")
    for group in dict.fromkeys(name for name, _ in rates):
        base = statistics.median(rates[group, "torchvision"])
        for who in ("torchvision", "mcf", "mcf-fast"):
            values = rates[group, who]
            rate = statistics.median(values)
            spread = f"{min(values):.0f}..{max(values):.0f}"
            print(f"{group:8} {who:12} {rate:8.0f}  ({spread}, {len(values)} readings)  x {rate / base:.2f}")
        if statistics.median(rates[group, "mcf"]) < TARGET * base:
            missed = True
            print(f"{group:8} misses the target of {TARGET} times torchvision")
    sys.exit(1 if missed and "--strict" in sys.argv else 0)


if __name__ == "__main__":
    main()
