"""Batch normalizations keep their statistics while a model trains."""

import copy

import torch
from torch import nn

from spatialreasoner.training.batch_statistics import hold_batch_statistics


def tower():
    layer = nn.BatchNorm2d(3)
    layer.running_mean += 1
    return nn.Sequential(nn.Conv2d(3, 3, 1), layer, nn.Dropout(0.5), nn.BatchNorm1d(4, track_running_stats=False))


def test_an_images_features_do_not_depend_on_its_batch_and_statistics_stay():
    model = tower()
    assert hold_batch_statistics(model) == 1
    other = copy.deepcopy(model)
    images = torch.randn(4, 3, 2, 2)
    for each in (model, other):
        each.train()
        assert [module.training for module in each] == [True, False, True, True]
        assert torch.equal(each[:2](images)[:1], each[:2](images[:1]))
        assert torch.equal(each[1].running_mean, torch.ones(3))
    assert other[1].train() is other[1]
    model[:2](images).sum().backward()
    assert model[1].bias.grad.any()


def test_without_such_layers_nothing_changes():
    model = nn.Linear(2, 2)
    assert hold_batch_statistics(model) == 0
    assert model.train().training
