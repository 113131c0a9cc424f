"""Mazes: what grows, how far it is and what moves, against graphs of scipy and plain walks; subjects of known need."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, shortest_path

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.rollouts.compiling import compile_once as compiled
from mesascope.worlds.mazes import mazes
from mesascope.worlds.mazes.families.maze import EXTRA_CELLS, family

HOME = family(size=7, trials=6, bank=5, bank_seed=3)
FIELD = 7 + EXTRA_CELLS


@compiled
def begun(home, key, n, split):
    """Tasks, and what is seen first."""
    tasks = home.get_split(split).draw(key, n)
    return tasks, *home.begin(key, tasks)


@compiled
def stepped(home, tasks, state, action):
    return home.step(jax.random.key(0), tasks, state, action)


@compiled
def answered(subject, key, carry, percept):
    return subject.respond(key, carry, percept)


@compiled
def known(observation):
    """Which moves are right and which are open where one stands [N, 4], and the cell [N]."""
    problem, here = mazes.parse_observation(observation)
    rows, n = jnp.arange(len(here)), len(here)
    return (
        mazes.find_correct_moves(problem).reshape(n, -1, 4)[rows, here],
        mazes.find_open_moves(problem.passages).reshape(n, -1, 4)[rows, here],
        here,
    )


def graph(opens):
    """The passages of one maze as a graph of scipy's."""
    size = len(opens)
    ends = [(r * size + c, r * size + c + 1) for r, c in np.argwhere(opens[..., 0])]
    ends += [(r * size + c, (r + 1) * size + c) for r, c in np.argwhere(opens[..., 1])]
    one, other = np.asarray(ends).T
    return coo_matrix((np.ones(len(one)), (one, other)), shape=(size**2, size**2))


@pytest.fixture(scope="module")
def drawn():
    splits = [r for r in HOME.split_names if r not in ("seen", "exchanged:moves")]
    return {split: jax.tree.map(np.asarray, begun(HOME, jax.random.key(5), 30, split)[0]) for split in splits}


def test_mazes_are_spanning_trees_and_distances_those_of_scipy(drawn):
    for split, tasks in drawn.items():
        side = FIELD if split == "shifted:larger" else 7
        for n, phase in itertools.product(range(0, 30, 7), (0, 1)):
            found = graph(tasks.passages[n, phase])
            labels = connected_components(found, directed=False)[1].reshape(FIELD, FIELD)
            assert len(np.unique(labels[:side, :side])) == 1, split
            if split == "restructured:loops":
                assert found.nnz > side**2 - 1
            else:
                assert found.nnz == side**2 - 1, split
            far = shortest_path(found, directed=False, unweighted=True, indices=tasks.goal[n, phase])
            got = tasks.distance[n, phase]
            assert (got[np.isfinite(far)] == far[np.isfinite(far)]).all()
            assert (got[np.isinf(far)] >= mazes.UNREACHABLE).all()


def test_what_changes_is_what_the_split_says(drawn):
    for split, tasks in drawn.items():
        late = (np.arange(6) >= 3).astype(int)
        rows = np.arange(30)[:, None]
        assert (tasks.distance[rows, late, tasks.start_cells] > 0).all() and (
            tasks.distance[rows, late, tasks.start_cells] < mazes.UNREACHABLE
        ).all()
        assert not tasks.has_reversed_moves.any()
        same = (tasks.passages[:, 0] == tasks.passages[:, 1]).all((1, 2, 3))
        assert same.all() == (split != "revalued:map")
        assert (tasks.goal[:, 0] == tasks.goal[:, 1]).all() == (split != "revalued:worth")
        if split.startswith("revalued"):
            assert (tasks.start_cells[:, 2] == tasks.start_cells[:, 3]).all()
    worth, walls = drawn["revalued:worth"], drawn["revalued:map"]
    assert (worth.goal[:, 0] != worth.goal[:, 1]).all()
    for n in range(30):
        start = worth.start_cells[n, 3]
        beside = [c for c in range(FIELD**2) if graph(worth.passages[n, 0]).toarray()[[start, c], [c, start]].any()]
        first = [min(beside, key=lambda c, d=d: d[c]) for d in worth.distance[n]]
        assert (first[0] == first[1]) == (len(beside) == 1)  # another move leads to the new goal
        gone = np.argwhere(walls.passages[n, 0] & ~walls.passages[n, 1])
        come = np.argwhere(walls.passages[n, 1] & ~walls.passages[n, 0])
        assert len(gone) == len(come) == 1
        r, c, south = gone[0]
        ends = r * FIELD + c, (r + south) * FIELD + c + 1 - south
        far, start = walls.distance[n, 0], walls.start_cells[n, 3]
        back = shortest_path(graph(walls.passages[n, 0]), directed=False, indices=start)
        assert all(far[e] + back[e] == far[start] for e in ends)  # on the way
        assert (start in ends) == (far[start] == 1)


def test_what_walks_bring_is_counted_over_every_walk():
    home = family(size=5, steps=3, trials=4)
    for split in ("fresh", "exchanged:moves"):
        tasks = jax.tree.map(np.asarray, begun(home, jax.random.key(2), 4, split)[0])
        told = home.compute_latents(jax.tree.map(jnp.asarray, tasks), split)
        for n, t in itertools.product(range(4), (1, 3)):
            phase = int(t >= 2)
            can = np.asarray(mazes.find_open_moves(jnp.asarray(tasks.passages[n, phase])[None]))[0].reshape(-1, 4)
            first = tasks.distance[n, phase, tasks.start_cells[n, t]]
            paid = []
            for acts in itertools.product(range(4), repeat=3):
                cell = tasks.start_cells[n, t]
                for act in acts:
                    move = act ^ 2 if tasks.has_reversed_moves[n] and phase else act
                    if can[cell, move] and cell != tasks.goal[n, phase]:
                        cell = cell + (-home.picture_size, 1, home.picture_size, -1)[move]
                paid.append((first - tasks.distance[n, phase, cell]) / min(max(first, 1), 3))
            for name, way in (("chance", np.mean), ("best", np.max), ("worst", np.min)):
                assert told[name][n, t] == pytest.approx(way(paid)), (split, name)
            assert told["worst"][n, t] <= told["fixed"][n, t] <= told["best"][n, t]


def test_a_walk_by_the_right_moves_ends_at_the_goal():
    home = family(size=5, steps=30, trials=4)
    tasks, state, percept = begun(home, jax.random.key(8), 9, "fresh")
    far = np.asarray(tasks.distance)
    assert far[far < mazes.UNREACHABLE].max() <= 30
    for s in range(30):
        right, _, here = known(percept.observation)
        assert (here == state.cell).all()
        state, percept, paid = stepped(home, tasks, state, right.argmax(-1))
        assert (np.asarray(paid) == (s == 29)).all()
    assert (state.trial == 1).all() and (state.cell == tasks.start_cells[:, 1]).all()


def test_drawings_are_read_as_they_are_drawn():
    tasks, _, percept = begun(HOME, jax.random.key(1), 30, "shifted:larger")
    seen = percept.observation
    for n in (0, 7, 29):
        again = HOME.read_drawing(HOME.render_observation(seen[n]))
        assert (again.passages[0] == tasks.passages[n]).all() and (again.distance[0] == tasks.distance[n]).all()
        assert again.goal[0, 0] == tasks.goal[n, 0] and again.start_cells[0, 4] == tasks.start_cells[n, 0]
    small = "+--+--+\n|A |G |\n+  +  +\n|     |\n+--+--+"
    opens, goal, start = mazes.parse_drawing(small)
    assert goal == 1 and start == 0 and opens.sum() == 3
    with pytest.raises(MesascopeError, match="no way from A to G"):
        mazes.parse_drawing(small.replace("|     |", "|  |  |"))
    with pytest.raises(MesascopeError, match="0 times G"):
        mazes.parse_drawing(small.replace("G", " "))
    with pytest.raises(MesascopeError, match="2 cells on a side"):
        HOME.read_drawing(small)


def test_how_many_there_are():
    assert mazes.count_problems(2) == pytest.approx(4 * 12)  # a square without one of its sides
    assert mazes.count_problems(3) == pytest.approx(192 * 72)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("size=8", "is even"),
        ("size=35", "do not fit into memory"),
        ("size=3", "out of range"),
        ("steps=0", "a walk needs at least one step"),
        ("steps=65", "steps=65"),
        ("trials=3", "trials=3"),
        ("size=33,steps=64,trials=1000", "do not fit|GiB"),
        ("bank=-1", "bank=-1"),
    ],
)
def test_impossible_mazes(settings, said):
    with pytest.raises(MesascopeError, match=said):
        catalogue.make("families", f"maze:{settings}")


def test_a_wave_needs_as_many_ticks_as_the_goal_is_far():
    """One cell a tick: before it comes all open ways are alike, from then on the right one is certain."""
    tasks, state, percept = begun(HOME, jax.random.key(4), 30, "fresh")
    right, can, _ = (np.asarray(x) for x in known(percept.observation))
    rows = np.arange(30)
    far = np.asarray(tasks.distance)[rows, 0, np.asarray(state.cell)]
    planner = catalogue.make("subjects", "maze_planner", HOME)
    carry = planner.initialize_carry(30)
    for ticks in range(1, 12):
        carry, response = answered(planner, jax.random.key(ticks), carry, percept)
        chance = np.exp(np.asarray(response.log_probs))
        assert chance[far <= ticks] == pytest.approx(right[far <= ticks].astype(float))
        open_ = can[far > ticks].astype(float)
        assert chance[far > ticks] == pytest.approx(open_ / open_.sum(-1, keepdims=True))
    moved, state, percept = begun(HOME, jax.random.key(9), 30, "fresh")
    far = np.asarray(moved.distance)[rows, 0, np.asarray(state.cell)]
    at_once = catalogue.make("subjects", "maze_planner:sweeps=400", HOME)
    for subject, held in ((planner, carry), (at_once, at_once.initialize_carry(30))):
        _, response = answered(subject, jax.random.key(0), held, percept)
        sure = np.exp(np.asarray(response.log_probs)).max(-1) > 0.999
        assert sure.all() if subject is at_once else sure[far == 1].all() and not sure.all()


def test_the_clone_is_right_in_its_table_alone():
    clone, share = catalogue.make("subjects", "maze_clone", HOME), {}
    for split in ("seen", "fresh"):
        tasks, state, percept = begun(HOME, jax.random.key(6), 30, split)
        assert split == "fresh" or len(np.unique(tasks.start_cells, axis=0)) <= 5
        _, response = answered(clone, jax.random.key(1), clone.initialize_carry(30), percept)
        _, _, paid = stepped(HOME, tasks, state, response.action)
        share[split] = float((paid == 1).mean())
    assert share["seen"] == 1 and share["fresh"] < 0.75
    with pytest.raises(MesascopeError, match="no training mazes"):
        catalogue.make("subjects", "maze_clone", HOME.with_bank(None))
