"""Is it healthy? Processes, readiness, heartbeat, restarts, processor, memory."""

from monitoring.panels.base import Panel, age, here

HEALTHY = [
    Panel(
        "Does every process answer?",
        "short",
        "1 is yes. 0: the process is gone or cannot be reached; see the runbook RalmFlowDown.",
        {"{{instance}}": 'up{job="$job",instance=~"$instance"}'},
        6,
        "number",
        bad_below=1,
    ),
    Panel(
        "Is each condition for being ready met?",
        "short",
        "1 is met. 0 for more than some minutes: curl /-/ready says why; see the runbook RalmNotReady.",
        {"{{instance}} {{condition}}": here("ralm_ready")},
        6,
        "number",
        bad_below=1,
    ),
    Panel(
        "When did each dataflow last give a sign of life?",
        "s",
        "Well under a second is usual. Above a minute the dataflow is stuck; see the runbook RalmFlowStalled.",
        {"{{instance}}": age("ralm_heartbeat_timestamp_seconds", "instance")},
        6,
        "number",
        bad_from=60,
    ),
    Panel(
        "Which program and which model run?",
        "short",
        "One line for each process. During a change of bundle two model versions are usual, later they are not: "
        "scorers ignore centroids of another version.",
        {"{{instance}} {{flow}} {{version}} model {{model_version}}": here("ralm_build_info")},
        6,
        "names",
    ),
    Panel(
        "How long has each process been running?",
        "dtdurations",
        "A saw-tooth means that it starts again and again; see the runbook RalmRestarting.",
        {"{{instance}}": f"time() - {here('process_start_time_seconds')}"},
    ),
    Panel(
        "How often did each process start within the hour?",
        "short",
        "Starts, and those that followed a drain: releases. Starts without a drain are crashes; more than two in half "
        "an hour wake somebody: RalmRestarting.",
        {
            "{{instance}} starts": f"changes({here('process_start_time_seconds')}[1h])",
            "{{instance}} after a drain": f"max_over_time({here('ralm_drained_stops_total')}[1h]) - "
            f"min_over_time({here('ralm_drained_stops_total')}[1h])",
        },
    ),
    Panel(
        "How much processor does each process use?",
        "short",
        "In cores. Flat at the number of workers: it is the processor that is lacking. Low with lag: it waits for "
        "disk or broker.",
        {"{{instance}}": f"rate({here('process_cpu_seconds_total')}[$__rate_interval])"},
    ),
    Panel(
        "How much memory does each process hold?",
        "bytes",
        "Grows with the live index and the stores' caches and should level off. If it does not, note the time and "
        "the number of items.",
        {"{{instance}}": here("process_resident_memory_bytes")},
    ),
]
