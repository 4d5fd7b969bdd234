"""distilabel's part of `orchestration.py`, for an interpreter that has it: python THIS URL BODIES SLOTS

One TextGeneration step over the same conversations, so many in flight as the server has slots. Its pipeline has no
second round that hangs on the first, so all calls are given to it at once: the easier task. Prints a reading as JSON;
processor time is of this process and of the children that it has waited for.
"""

import json
import os
import sys
import time


def main() -> None:
    url, path, slots = sys.argv[1], sys.argv[2], int(sys.argv[3])
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.tasks import ChatGeneration

    with open(path) as file:
        rows = [{"messages": json.loads(line)["messages"]} for line in file]
    with Pipeline(name="orchestration") as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=2 * slots)
        llm = OpenAILLM(
            model="loopback", base_url=f"{url}/v1", api_key="none", generation_kwargs={"max_new_tokens": 256}
        )
        ask = ChatGeneration(llm=llm, input_batch_size=2 * slots)
        load >> ask
    started, before = time.perf_counter(), os.times()
    result = pipeline.run(use_cache=False)
    seconds, after = time.perf_counter() - started, os.times()
    answered = sum(bool(row["generation"]) for row in result["default"]["train"])
    if answered != len(rows):
        raise SystemExit(f"distilabel answered {answered} of {len(rows)} calls")
    cpu = sum(after[:4]) - sum(before[:4])
    print(json.dumps({"calls": answered, "seconds": seconds, "calls_per_second": answered / seconds,
                      "cpu_ms_per_call": 1000 * cpu / answered, "quarter_mib": 0.0, "end_mib": 0.0}))  # fmt: skip


if __name__ == "__main__":
    main()
