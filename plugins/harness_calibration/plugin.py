"""The index of this package: post-hoc calibration."""

from harness import Method, Metric, Task, hookimpl


@hookimpl
def harness_methods() -> list[Method]:
    return [
        Method(
            "temperature",
            interface="estimator",
            field="calibration",
            target="harness_calibration.temperature:Temperature",
            summary="one temperature divides the logits, fitted by log-likelihood",
        ),
        Method(
            "uncalibrated",
            interface="estimator",
            field="calibration",
            target="harness_calibration.uncalibrated:Uncalibrated",
            summary="the logits as they are",
        ),
    ]


@hookimpl
def harness_tasks() -> list[Task]:
    return [
        Task(
            "posthoc-logit-bank",
            field="calibration",
            target="harness_calibration.tasks:PosthocLogitBank",
            summary="calibrate stored logits of over-confident nets on noisy digits, in distribution and shifted",
        ),
    ]


@hookimpl
def harness_metrics() -> list[Metric]:
    home = "harness_calibration.declared"
    return [
        Metric("accuracy", f"{home}:accuracy", "max", ceiling=1.0, summary="share of right answers"),
        Metric("ece", f"{home}:ece", "min", ceiling=0.0, summary="calibration error, 15 bins of equal width"),
        Metric("adaptive_ece", f"{home}:adaptive_ece", "min", ceiling=0.0, summary="15 groups of equal size"),
        Metric("class_wise_ece", f"{home}:class_wise_ece", "min", ceiling=0.0, summary="mean over all classes"),
        Metric("mce", f"{home}:mce", "min", ceiling=0.0, summary="the worst of ece's bins"),
        Metric("nll", f"{home}:nll", "min", unit="nats", ceiling=0.0, summary="mean negative log-likelihood"),
        Metric("brier", f"{home}:brier", "min", ceiling=0.0, summary="squared error summed over classes"),
        Metric("aurc", f"{home}:aurc", "min", ceiling=0.0, summary="area under the risk-coverage curve"),
        Metric("auroc", f"{home}:auroc", "max", ceiling=1.0, summary="confidence as a score for being right"),
    ]
