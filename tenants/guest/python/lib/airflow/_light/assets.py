"""Assets and datasets, accepted in every spelling. What they schedule is the house's business."""

from __future__ import annotations


class BaseAsset:
    def __or__(self, other):
        return AssetAny(self, other)

    def __and__(self, other):
        return AssetAll(self, other)


class Asset(BaseAsset):
    def __init__(self, name=None, uri=None, *, group="asset", extra=None, watchers=None, **_more):
        if name is None and uri is None:
            raise TypeError("Asset() requires either 'name' or 'uri'")
        self.name = name if name is not None else uri
        self.uri = uri if uri is not None else name
        self.group = group
        self.extra = extra or {}
        self.watchers = list(watchers or [])

    def __eq__(self, other):
        return isinstance(other, Asset) and (self.name, self.uri) == (other.name, other.uri)

    def __hash__(self):
        return hash((self.name, self.uri))

    def __repr__(self):
        return f"Asset(name={self.name!r}, uri={self.uri!r})"


class Dataset(Asset):
    """2.x: the first argument is the uri."""

    def __init__(self, uri=None, extra=None, name=None, **more):
        super().__init__(name=name or uri, uri=uri, extra=extra, **more)


class Model(Asset):
    pass


class AssetRef(BaseAsset):
    def __init__(self, name=None, uri=None):
        self.name, self.uri = name, uri

    @classmethod
    def ref(cls, *, name=None, uri=None):
        return cls(name, uri)


class AssetAlias(BaseAsset):
    def __init__(self, name, *, group="asset"):
        self.name, self.group = name, group

    def __eq__(self, other):
        return isinstance(other, AssetAlias) and self.name == other.name

    def __hash__(self):
        return hash(("alias", self.name))


class AssetBooleanCondition(BaseAsset):
    def __init__(self, *objects):
        self.objects = list(objects)


class AssetAll(AssetBooleanCondition):
    pass


class AssetAny(AssetBooleanCondition):
    pass


class AssetWatcher:
    def __init__(self, name, trigger, **_more):
        self.name, self.trigger = name, trigger


class Metadata:
    def __init__(self, asset, extra=None, alias=None):
        self.asset, self.extra, self.alias = asset, extra or {}, alias


def is_asset_schedule(schedule):
    if isinstance(schedule, BaseAsset):
        return True
    return isinstance(schedule, (list, tuple, set)) and all(isinstance(each, BaseAsset) for each in schedule)
