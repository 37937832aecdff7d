import torch

from derain_plugin.models.restorers.spdnet_blocks import InteractiveFusion


def test_learned_maps_mix_features_with_their_gated_selves():
    fusion = InteractiveFusion(2)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.zero_()  # the gate is then 1/2 everywhere
        fusion.image_mix.bias += torch.tensor([3.0, 4.0])
        fusion.prior_mix.bias += torch.tensor([0.0, 2.0])
    merged = []
    fusion.merge.register_forward_pre_hook(lambda _, inputs: merged.append(inputs[0]))
    image, prior = torch.rand(2, 1, 2, 5, 7)
    assert fusion(image, prior).shape == image.shape
    torch.testing.assert_close(merged[0], torch.cat([image * (3 + 4 / 2), prior * (2 / 2)], 1))
