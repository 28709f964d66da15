"""Who comes before whom: nodes, arrows, labels, groups, setup and teardown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from airflow._light.exceptions import AirflowException, DuplicateTaskIdFound, TaskAlreadyInTaskGroup

_key_pattern = re.compile(r"^[\w.-]+$", re.UNICODE)
_group_key_pattern = re.compile(r"^[\w-]+$", re.UNICODE)


def check_key(key, length_max=250):
    if not isinstance(key, str):
        raise TypeError(f"The key has to be a string and is {type(key)}:{key}")
    if len(key) > length_max:
        raise AirflowException(f"The key: {key} has to be less than {length_max} characters")
    if not _key_pattern.match(key):
        raise AirflowException(
            f"The key {key!r} has to be made of alphanumeric characters, dashes, dots and underscores exclusively"
        )


class DependencyMixin:
    """`>>` and `<<` between nodes and lists of nodes."""

    @property
    def roots(self):
        raise NotImplementedError

    @property
    def leaves(self):
        raise NotImplementedError

    def set_upstream(self, other, edge_modifier=None):
        raise NotImplementedError

    def set_downstream(self, other, edge_modifier=None):
        raise NotImplementedError

    def _note_relative(self, other, upstream):
        """Said to the other end of an arrow. Plain tasks keep their arrows themselves; groups and labels remember."""

    def __lshift__(self, other):
        self.set_upstream(other)
        return other

    def __rshift__(self, other):
        self.set_downstream(other)
        return other

    def __rrshift__(self, other):
        self.__lshift__(other)
        return self

    def __rlshift__(self, other):
        self.__rshift__(other)
        return self


class DAGNode(DependencyMixin):
    """A task: what its arrows are. Ids, not objects, so that a copy of the DAG is cheap."""

    dag = None
    task_group = None

    def _init_node(self):
        self.upstream_task_ids = set()
        self.downstream_task_ids = set()

    @property
    def node_id(self):
        return self.task_id

    @property
    def label(self):
        group = self.task_group
        if group is not None and group.node_id and group.prefix_group_id:
            return self.task_id[len(group.node_id) + 1 :]
        return self.task_id

    @property
    def roots(self):
        return [self]

    @property
    def leaves(self):
        return [self]

    def has_dag(self):
        return self.dag is not None

    @property
    def dag_id(self):
        return self.dag.dag_id if self.dag is not None else f"adhoc_{getattr(self, 'owner', '')}"

    @property
    def upstream_list(self):
        return [self._need_dag().get_task(tid) for tid in sorted(self.upstream_task_ids)]

    @property
    def downstream_list(self):
        return [self._need_dag().get_task(tid) for tid in sorted(self.downstream_task_ids)]

    def get_direct_relative_ids(self, upstream=False):
        return self.upstream_task_ids if upstream else self.downstream_task_ids

    def get_direct_relatives(self, upstream=False):
        return self.upstream_list if upstream else self.downstream_list

    def get_flat_relative_ids(self, upstream=False):
        dag, found, todo = self._need_dag(), set(), list(self.get_direct_relative_ids(upstream))
        while todo:
            task_id = todo.pop()
            if task_id not in found:
                found.add(task_id)
                todo.extend(dag.get_task(task_id).get_direct_relative_ids(upstream))
        return found

    def get_flat_relatives(self, upstream=False):
        return [self._need_dag().get_task(tid) for tid in sorted(self.get_flat_relative_ids(upstream))]

    def set_upstream(self, task_or_task_list, edge_modifier=None):
        self._set_relatives(task_or_task_list, upstream=True, edge_modifier=edge_modifier)

    def set_downstream(self, task_or_task_list, edge_modifier=None):
        self._set_relatives(task_or_task_list, upstream=False, edge_modifier=edge_modifier)

    def _set_relatives(self, others, upstream, edge_modifier):
        tasks = []
        for other in _as_nodes(others):
            if not isinstance(other, DependencyMixin):
                raise AirflowException(
                    f"Relationships can only be set between Operators; received {type(other).__name__}"
                )
            other._note_relative(self, not upstream)
            tasks.extend(other.leaves if upstream else other.roots)
        if not tasks:
            return
        dags = {id(t.dag): t.dag for t in [*self.roots, *tasks] if t.has_dag()}
        if len(dags) > 1:
            names = sorted(d.dag_id for d in dags.values())
            raise AirflowException(f"Tried to set relationships between tasks in more than one DAG: {names}")
        if not dags:
            raise AirflowException(
                "Tried to create relationships between tasks that don't have DAGs yet. "
                f"Set the DAG for at least one task and try again: {[self, *tasks]}"
            )
        dag = next(iter(dags.values()))
        if not self.has_dag():
            dag.add_task(self)
        for task in tasks:
            if not task.has_dag():
                dag.add_task(task)
            before, after = (task, self) if upstream else (self, task)
            before.downstream_task_ids.add(after.task_id)
            after.upstream_task_ids.add(before.task_id)
            if edge_modifier is not None and edge_modifier.label:
                dag.set_edge_info(before.task_id, after.task_id, {"label": edge_modifier.label})

    def _need_dag(self):
        if self.dag is None:
            raise AirflowException(f"Task {self.task_id} has not been assigned to a DAG yet")
        return self.dag


class EdgeModifier(DependencyMixin):
    """`a >> Label("yes") >> b`: the arrow from a to b carries a word."""

    def __init__(self, label=None):
        self.label = label
        self._before = []
        self._after = []

    @property
    def roots(self):
        return self._after

    @property
    def leaves(self):
        return self._before

    def has_dag(self):
        return True

    def set_upstream(self, other, edge_modifier=None):
        self._wire(other, self._before)

    def set_downstream(self, other, edge_modifier=None):
        self._wire(other, self._after)

    def _note_relative(self, other, upstream):
        (self._before if upstream else self._after).append(other)
        self._connect([other], upstream)

    def _wire(self, other, side):
        nodes = _as_nodes(other)
        side.extend(nodes)
        self._connect(nodes, side is self._before)

    def _connect(self, nodes, came_before):
        for node in nodes:
            for far in self._after if came_before else self._before:
                if came_before:
                    node.set_downstream(far, edge_modifier=self)
                else:
                    node.set_upstream(far, edge_modifier=self)


def Label(label):
    return EdgeModifier(label)


def _as_nodes(others):
    if isinstance(others, DependencyMixin) or isinstance(others, str) or not isinstance(others, Iterable):
        return [others]
    return list(others)


class TaskGroupContext:
    _stack: list = []
    active = True

    @classmethod
    def push(cls, group):
        cls._stack.append(group)

    @classmethod
    def pop(cls):
        return cls._stack.pop() if cls._stack else None

    @classmethod
    def get_current(cls, dag):
        """The innermost open group of this DAG, else its root. None where there is no DAG."""
        for group in reversed(cls._stack):
            if dag is None or group.dag is dag:
                return group
        return dag.task_group if dag is not None else None


class TaskGroup(DependencyMixin):
    def __init__(
        self,
        group_id=None,
        prefix_group_id=True,
        parent_group=None,
        dag=None,
        default_args=None,
        tooltip="",
        children=None,
        ui_color="CornflowerBlue",
        ui_fgcolor="#000",
        add_suffix_on_collision=False,
        group_display_name="",
        **_more,
    ):
        from airflow._light.dag import DagContext

        self.prefix_group_id = prefix_group_id
        self.tooltip = tooltip or ""
        self.default_args = dict(default_args or {})
        self.children = {}
        self.ui_color, self.ui_fgcolor = ui_color, ui_fgcolor
        self.group_display_name = group_display_name
        self.upstream_group_ids, self.downstream_group_ids = set(), set()
        self.upstream_task_ids, self.downstream_task_ids = set(), set()
        self.expand_input = None
        self.is_root_group = _more.pop("_is_root", False)
        if self.is_root_group:
            self._group_id, self.parent_group, self.dag = None, None, dag
            return
        if not group_id:
            raise ValueError("group_id must not be empty")
        check_key(group_id, 200)
        if not _group_key_pattern.match(group_id):
            raise AirflowException(
                f"The key {group_id!r} has to be made of alphanumeric characters, dashes and underscores exclusively"
            )
        self.dag = dag or (parent_group.dag if parent_group is not None else DagContext.get_current())
        if self.dag is None:
            raise RuntimeError("TaskGroup can only be used inside a dag")
        self.parent_group = parent_group or TaskGroupContext.get_current(self.dag)
        self.default_args = {**self.parent_group.default_args, **self.default_args}
        self._group_id = group_id
        if self.node_id in self.dag.used_ids:
            if not add_suffix_on_collision:
                raise DuplicateTaskIdFound(f"group_id '{self.node_id}' has already been added to the DAG")
            self._group_id = _next_free(group_id, self.parent_group.child_id, self.dag.used_ids)
        self.dag.used_ids.add(self.node_id)
        self.parent_group.add(self)

    @classmethod
    def create_root(cls, dag):
        return cls(group_id=None, dag=dag, prefix_group_id=False, _is_root=True)

    @property
    def is_root(self):
        return self.is_root_group

    @property
    def task_group(self):
        return self.parent_group

    @property
    def group_id(self):
        parent = self.parent_group
        if parent is not None and parent.prefix_group_id and parent.group_id:
            return parent.child_id(self._group_id)
        return self._group_id

    @property
    def node_id(self):
        return self.group_id

    @property
    def label(self):
        return self.group_display_name or self._group_id

    def child_id(self, label):
        """The full id of a child called `label`."""
        return f"{self.group_id}.{label}" if self.prefix_group_id and self.group_id else label

    def add(self, node):
        existing = getattr(node, "task_group", None)
        if isinstance(node, DAGNode):
            if existing is not None and existing is not self and node.node_id in existing.children:
                if not existing.is_root:
                    raise TaskAlreadyInTaskGroup(node.node_id, existing.node_id, self.node_id)
                del existing.children[node.node_id]
            node.task_group = self
        if node.node_id in self.children and self.children[node.node_id] is not node:
            raise DuplicateTaskIdFound(f"Task id '{node.node_id}' has already been added to the DAG")
        self.children[node.node_id] = node
        return node

    def __enter__(self):
        TaskGroupContext.push(self)
        return self

    def __exit__(self, *_exc):
        TaskGroupContext.pop()

    def has_dag(self):
        return self.dag is not None

    def iter_tasks(self):
        for child in self.children.values():
            if isinstance(child, TaskGroup):
                yield from child.iter_tasks()
            else:
                yield child

    def iter_mapped_task_groups(self):
        """This group and those around it that are mapped, innermost first."""
        group = self
        while group is not None:
            if group.expand_input is not None:
                yield group
            group = group.parent_group

    def get_child_by_label(self, label):
        return self.children[self.child_id(label)]

    def get_task_group_dict(self):
        found = {self.group_id: self}
        for child in self.children.values():
            if isinstance(child, TaskGroup):
                found.update(child.get_task_group_dict())
        return found

    def has_task(self, task):
        return any(each is task for each in self.iter_tasks())

    @property
    def roots(self):
        return list(self.get_roots())

    @property
    def leaves(self):
        return list(self.get_leaves())

    def get_roots(self):
        tasks = list(self.iter_tasks())
        ids = {t.task_id for t in tasks}
        return [t for t in tasks if not t.upstream_task_ids & ids]

    def get_leaves(self):
        """Tasks nothing of the group follows. Behind a teardown its predecessors count: nobody waits for a clean-up."""
        tasks = {t.task_id: t for t in self.iter_tasks()}

        def is_ignored(task):
            return task.is_teardown and not task.on_failure_fail_dagrun

        def before(task):
            for task_id in sorted(task.upstream_task_ids & set(tasks)):
                found = tasks[task_id]
                if found.is_setup:
                    continue
                if is_ignored(found):
                    yield from before(found)
                else:
                    yield found

        leaves = {}
        for task in tasks.values():
            if task.downstream_task_ids & set(tasks):
                continue
            for leaf in before(task) if is_ignored(task) else [task]:
                leaves[leaf.task_id] = leaf
        return list(leaves.values())

    def set_upstream(self, other, edge_modifier=None):
        self._set_relatives(other, upstream=True, edge_modifier=edge_modifier)

    def set_downstream(self, other, edge_modifier=None):
        self._set_relatives(other, upstream=False, edge_modifier=edge_modifier)

    def _set_relatives(self, others, upstream, edge_modifier):
        others = _as_nodes(others)
        for task in self.get_roots() if upstream else self.get_leaves():
            # A label hears once from the group's own tasks, not from the group.
            (task.set_upstream if upstream else task.set_downstream)(others, edge_modifier=edge_modifier)
        for other in others:
            self._note_relative(other, upstream)

    def _note_relative(self, other, upstream):
        if isinstance(other, TaskGroup):
            (self.upstream_group_ids if upstream else self.downstream_group_ids).add(other.group_id)


class MappedTaskGroup(TaskGroup):
    def __init__(self, *, expand_input, **kwargs):
        super().__init__(**kwargs)
        self.expand_input = expand_input

    def __exit__(self, *exc):
        # Everything that the group is expanded over comes before all of it.
        for operator, _key in self.expand_input.iter_references():
            if not self.has_task(operator):
                self.set_upstream(operator)
        super().__exit__(*exc)


def _next_free(label, child_id, used):
    base = re.split(r"__\d+$", label)[0]
    number = 1
    while child_id(f"{base}__{number}") in used:
        number += 1
    return f"{base}__{number}"


def unique_task_id(task_id, dag, group):
    """`f`, `f__1`, `f__2` …: what a second call of the same @task function is called."""
    full = group.child_id(task_id) if group is not None else task_id
    if dag is None or full not in dag.used_ids:
        return task_id
    return _next_free(task_id, group.child_id if group is not None else str, dag.used_ids)


def chain(*tasks):
    """Each before the next; two lists of equal length pairwise; a list and a single node: all of them."""
    for before, after in zip(tasks, tasks[1:]):
        if isinstance(before, DependencyMixin):
            before.set_downstream(after)
            continue
        if isinstance(after, DependencyMixin):
            after.set_upstream(before)
            continue
        if not isinstance(before, Sequence) or not isinstance(after, Sequence):
            raise TypeError(f"Chain not supported between instances of {type(before)} and {type(after)}")
        if len(before) != len(after):
            raise AirflowException(
                f"Chain not supported for different length Iterable. Got {len(before)} and {len(after)}."
            )
        for one, other in zip(before, after):
            one.set_downstream(other)


def chain_linear(*elements):
    """Each element before the next; between two lists every one before every other."""
    if not elements:
        raise ValueError("No tasks provided; nothing to do.")
    before, wired = None, False
    for element in elements:
        nodes = [element] if isinstance(element, DependencyMixin) else list(element or [])
        if not nodes:
            continue
        for node in before or []:
            node.set_downstream(nodes)
            wired = True
        before = nodes
    if not wired:
        raise ValueError("No dependencies were set. Did you forget to expand with `*`?")


def cross_downstream(from_tasks, to_tasks):
    for task in from_tasks if isinstance(from_tasks, Iterable) else [from_tasks]:
        task.set_downstream(to_tasks)


class SetupTeardownContext:
    """What is made inside `with setup_or_teardown:` runs between its setups and its teardowns."""

    _open: list = []

    @classmethod
    def push(cls, tasks):
        setups = [t for t in tasks if t.is_setup]
        teardowns = [t for t in tasks if t.is_teardown]
        for teardown in teardowns:
            setups.extend(t for t in teardown.upstream_list if t.is_setup and t not in setups)
        for setup in list(setups):
            teardowns.extend(t for t in setup.downstream_list if t.is_teardown and t not in teardowns)
        cls._open.append((setups, teardowns, []))

    @classmethod
    def note(cls, task):
        if cls._open:
            cls._open[-1][2].append(task)

    @classmethod
    def pop(cls):
        setups, teardowns, work = cls._open.pop()
        work = [t for t in work if not t.is_setup and not t.is_teardown]
        ids = {t.task_id for t in work}
        for task in work:
            if setups and not task.upstream_task_ids & ids:
                task.set_upstream(setups)
            if teardowns and not task.downstream_task_ids & ids:
                task.set_downstream(teardowns)
        if cls._open:
            cls._open[-1][2].extend(work)


class ContextWrapper(list):
    """`with context_wrapper([setup1, setup2]):`"""

    def __init__(self, tasks):
        super().__init__(tasks)
        self.tasks = tasks

    def __enter__(self):
        SetupTeardownContext.push(self.tasks)
        return self

    def __exit__(self, *_exc):
        SetupTeardownContext.pop()


def context_wrapper(tasks):
    return ContextWrapper(tasks)
