"""What `mesascope demo` examines: three bundled networks beside five scripted subjects."""

from __future__ import annotations

from mesascope.agents.networks import recurrent

SCRIPTED = ("thompson:discount=0.93", "thompson", "locator", "two_loss_reflex", "uniform")
NETWORKS = ("unlimited", "bank_of_four", "memoryless")


def family() -> str:
    """The family with the bank of the network that was trained on one."""
    about = recurrent.about(recurrent.bundled()["bank_of_four"])
    return str(about["family"])


def subjects() -> list[str]:
    """The bundled networks, then the scripted subjects."""
    return [*(f"recurrent:path={name}" for name in NETWORKS), *SCRIPTED]
