"""What the fixtures beside this file vary. Sizes are as small as the point of a case allows.

A case is a base with changes: dotted keys into the config, `batch`, `steps`, and why it exists. The order
decides the random seed of a case: add at the end.
"""
import copy

BASE = {
    'task': 'pretrain',
    'model': {
        'image_size': 16,
        'patch_size': 4,
        'encoder': {'dim': 12, 'depth': 2, 'heads': 2, 'mlp_ratio': 4},
        'decoder': {'dim': 16, 'depth': 2, 'heads': 2, 'mlp_ratio': 4},
        'teacher': {'dim': 12, 'depth': 2, 'heads': 2, 'mlp_ratio': 4, 'blocks': [1, 2]},
        'projector': {'hidden': 32, 'out': 12},
    },
    'objective': {
        'mask_ratio': 0.6,
        'feature': {'weight': 1000},
        'pixel': {'weight': 0, 'per_patch_norm': False},
        'contrastive': {'weight': 1, 'tokens': 'cls', 'temperature': 0.2, 'momentum': 0.99},
    },
    # A large eps: where a gradient is zero in exact arithmetic, rounding must not decide the step.
    'optimizer': {'name': 'adamw', 'lr': 0.001, 'betas': [0.9, 0.95], 'eps': 1.0e-4, 'weight_decay': 0.05},
}


def case(why, batch=6, steps=1, **changes):
    config = copy.deepcopy(BASE)
    for key, value in changes.items():
        *path, last = key.split('__')
        at = config
        for name in path:
            at = at[name]
        at[last] = value
    return {'why': why, 'batch': batch, 'steps': steps, 'config': config}


def moco_case(why, batch=6, steps=1, **changes):
    """The keys that MoCo-v3 does not have are taken out of the base."""
    made = case(why, batch, steps, **{'optimizer__weight_decay': 0.1, **changes})
    config = {'task': 'pretrain', 'method': 'moco-v3', **made['config']}
    config['model'] = {k: v for k, v in config['model'].items() if k not in ('decoder', 'teacher')}
    contrast = config['objective']['contrastive']
    config['objective'] = {'contrastive': {k: contrast[k] for k in ('temperature', 'momentum')}}
    made['config'] = config
    return made


def net(dim, depth, heads, mlp_ratio=4, **more):
    return {'dim': dim, 'depth': depth, 'heads': heads, 'mlp_ratio': mlp_ratio, **more}


CASES = {
    'odd_width': case(
        'widths that are no multiple of 8, head widths 12, 10 and 4, an odd batch',
        batch=5, model__encoder=net(36, 2, 3), model__decoder=net(20, 2, 2),
        model__teacher=net(12, 2, 3, blocks=[1, 2])),
    'teacher_narrow': case(
        'a teacher narrower than the encoder, three of its four blocks, patches of 8',
        model__image_size=24, model__patch_size=8, model__teacher=net(8, 4, 2, blocks=[1, 3, 4])),
    'teacher_wide': case(
        'a teacher wider than the encoder, of which the last block is not used',
        model__teacher=net(28, 4, 4, blocks=[1, 2, 3])),
    'teacher_larger': case(
        'the teacher sees 28 pixels where the encoder sees 16: nearest resize up',
        batch=5, model__teacher=net(12, 2, 2, blocks=[1, 2], image_size=28)),
    'teacher_smaller': case(
        'the teacher sees 16 pixels where the encoder sees 24: nearest resize down',
        batch=4, model__image_size=24, objective__mask_ratio=0.75,
        model__teacher=net(12, 2, 2, blocks=[2], image_size=16)),
    'decoder_1': case('a decoder of one block', model__decoder=net(24, 1, 3)),
    'decoder_8': case(
        'a decoder of eight blocks, feature term only', model__decoder=net(16, 8, 4),
        objective__contrastive__weight=0),
    'mixed': case(
        'pixel and feature terms, no contrastive, decoder wider than the encoder',
        batch=7, model__decoder=net(28, 2, 2), objective__pixel__weight=1, objective__contrastive__weight=0),
    'all_terms': case(
        'three terms with weights that are not 1, another temperature and momentum, four steps',
        batch=7, steps=4, objective__feature__weight=300, objective__pixel__weight=0.5,
        objective__contrastive={'weight': 2, 'tokens': 'cls', 'temperature': 0.5, 'momentum': 0.9}),
    'patch_norm': case(
        'pixel term against each patch normalised',
        batch=5, objective__feature__weight=0, objective__contrastive__weight=0,
        objective__pixel={'weight': 1, 'per_patch_norm': True}),
    'contrast_patch': case(
        'contrastive on the mean of the visible patch tokens (Con_p), two steps',
        batch=9, steps=2, objective__contrastive__tokens='patch'),
    'contrast_only': case(
        'contrastive alone, weight 0.2: no decoder, no teacher; projector of odd sizes',
        batch=7, model__projector={'hidden': 50, 'out': 10}, objective__feature__weight=0,
        objective__contrastive__weight=0.2),
    'visible_rounded': case(
        '25 patches at ratio 0.8: 25 * (1 - 0.8) is just below 5 in double precision, so 4 are visible',
        model__image_size=20, objective__mask_ratio=0.8, objective__pixel__weight=1),
    'mlp_ratio': case(
        'hidden layers of 2 and 3 times the width, four steps', steps=4,
        model__encoder=net(20, 2, 2, 2), model__decoder=net(20, 2, 1, 3),
        model__teacher=net(20, 2, 2, 2, blocks=[1, 2])),
    'batchnorm_groups': case(
        'BatchNorm over two halves of the batch: one device standing for two, two steps',
        batch=12, steps=2, model__batchnorm_groups=2),
    'one_block': case(
        'everything one block deep, one head, three steps with decay that shows',
        batch=9, steps=3, model__encoder=net(12, 1, 1), model__decoder=net(8, 1, 1),
        model__teacher=net(8, 1, 1, blocks=[1]), optimizer__weight_decay=0.5, optimizer__lr=0.003),
    'batch_32': case(
        'a batch of 32 for judging bf16; larger than the others',
        batch=32, model__image_size=24, model__encoder=net(40, 2, 2), model__decoder=net(32, 2, 2),
        model__teacher=net(40, 2, 2, blocks=[1, 2]), model__projector={'hidden': 64, 'out': 16},
        objective__mask_ratio=0.75),
    'wide_heads': case(
        'a batch of 32 with heads of 64 and 32 channels and 65 tokens, for judging fp16 on tensor cores',
        batch=32, model__image_size=32, model__encoder=net(64, 1, 1, 2), model__decoder=net(64, 1, 2, 2),
        model__teacher=net(64, 1, 1, 2, blocks=[1]), model__projector={'hidden': 64, 'out': 16},
        objective__mask_ratio=0.75),
    'moco': moco_case('MoCo-v3: two views, symmetric loss, frozen patch projection, decay on all that is trained',
                      batch=12, model__encoder=net(24, 2, 2), model__projector={'hidden': 64, 'out': 16}),
    'moco_3steps': moco_case(
        'MoCo-v3: odd widths, three steps, so that statistics, average and moments carry on', batch=9, steps=3,
        model__encoder=net(20, 2, 2, 2), model__projector={'hidden': 24, 'out': 10},
        objective__contrastive={'temperature': 0.3, 'momentum': 0.9}),
    'moco_batch_32': moco_case(
        'MoCo-v3: a batch of 32 for several devices and for judging bf16', batch=32,
        model__encoder=net(24, 2, 2), model__projector={'hidden': 40, 'out': 16}),
}
