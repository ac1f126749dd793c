import io
import os
import sys

import numpy as np
import pytest
import torch
from cifar_files import write_list
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from asng.data import read_image_folder
from asng.data.readers.image_file import Cut, decode, read_head
from asng.errors import InputError, RunError

FORMATS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "webp": "WEBP", "ppm": "PPM"}


def pixels_of(width=10, height=12, *, seed=0, grey=False):
    shape = (height, width) if grey else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(path, pixels=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels_of() if pixels is None else pixels).save(path, **options)
    return path


def write_many(folder, n=10, **options):
    for number in range(n):
        write(folder / f"{number:03}.png", pixels_of(seed=number, **options))
    return folder


def all_images(data):
    return torch.cat([data.train_images, data.test_images])


def test_pixels_are_read_back_and_all_pictures_are_in_one_part(tmp_path):
    data = read_image_folder(write_many(tmp_path / "pets"))
    assert (data.shape, data.name, data.classes) == ((3, 12, 10), "pets", ("image",))
    assert (len(data.train_images), len(data.test_images)) == (9, 1)
    assert data.train_images.dtype == torch.uint8
    wanted = {pixels_of(seed=number).transpose(2, 0, 1).tobytes() for number in range(10)}
    assert {image.numpy().tobytes() for image in all_images(data)} == wanted
    assert data.train_labels.tolist() == [0] * 9


def test_train_and_test_folders_are_heeded_and_names_sorted(tmp_path):
    write_many(tmp_path / "train", 12)
    write(tmp_path / "test" / "b" / "x.PNG", pixels_of(seed=99))
    write(tmp_path / "test" / "a.png", pixels_of(seed=98))
    data = read_image_folder(tmp_path)
    for number, image in enumerate(data.train_images):
        assert (image.permute(1, 2, 0).numpy() == pixels_of(seed=number)).all()
    assert (data.test_images[1].permute(1, 2, 0).numpy() == pixels_of(seed=99)).all()


def test_a_seed_is_a_split_and_the_share_is_kept(tmp_path):
    write_many(tmp_path, 20)
    splits = [read_image_folder(tmp_path, test_share=0.25, seed=seed) for seed in (1, 1, 2)]
    assert [len(data.test_images) for data in splits] == [5] * 3
    assert splits[0].fingerprint == splits[1].fingerprint != splits[2].fingerprint


def write_classes(folder, parts=("train", "test"), classes=("cat", "dog")):
    for part in parts:
        for number, name in enumerate(classes):
            for image in range(4):
                grey = np.full((4, 4, 3), 100 * number + image, np.uint8)
                write(folder / part / name / "deeper" / f"{image}.png", grey)
    return folder


def test_folders_are_classes_if_asked(tmp_path):
    data = read_image_folder(write_classes(tmp_path), classes=True)
    assert data.classes == ("cat", "dog")
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert (images[:, 0, 0, 0] // 100).tolist() == labels.tolist() == [0] * 4 + [1] * 4
    assert read_image_folder(tmp_path).classes == ("image",)


def test_classes_without_parts_are_shared_out_to_both(tmp_path):
    data = read_image_folder(write_classes(tmp_path, parts=["."]), classes=True, test_share=0.25)
    assert data.test_labels.tolist() == [0, 1]
    assert (data.train_images[:, 0, 0, 0] // 100).tolist() == data.train_labels.tolist()


def test_wrong_folders_of_classes_are_named(tmp_path):
    write_classes(tmp_path)
    write(tmp_path / "test" / "owl" / "0.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match="the same classes in train and in test, got 'owl' in only one"):
        read_image_folder(tmp_path, classes=True)
    write(tmp_path / "train" / "0.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"0\.png: expected pictures in folders, one folder per class"):
        read_image_folder(tmp_path, classes=True)


def test_one_part_alone_and_no_pictures_are_refused(tmp_path):
    with pytest.raises(InputError, match="got no such folder"):
        read_image_folder(tmp_path / "none")
    (tmp_path / "readme.txt").write_text("none")
    (tmp_path / ".hidden.png").write_text("none")
    with pytest.raises(InputError, match=r"expected pictures \(\.png, .* got none"):
        read_image_folder(tmp_path)
    write_many(tmp_path / "train")
    with pytest.raises(InputError, match="got train alone"):
        read_image_folder(tmp_path)


def test_mixed_sizes_name_both_files_and_what_to_do(tmp_path):
    write_many(tmp_path, 12)
    write(tmp_path / "wide.png", pixels_of(11, 12))
    expected = (
        r"(000|wide)\.png: expected (10|11) x 12 pixels, as .*\.png has, got (10|11) x 12\. Give a size"
    )
    with pytest.raises(InputError, match=expected) as caught:
        read_image_folder(tmp_path)
    assert "wide.png" in str(caught.value)
    assert read_image_folder(tmp_path, size=8).shape == (3, 8, 8)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_the_part_is_the_middle_and_the_largest_square(width, height, size, crop):
    left, upper, right, lower = Cut(size=size).box(width, height)
    assert right - left == lower - upper == min(width, height)
    assert abs(left - (width - right)) <= 1
    assert abs(upper - (height - lower)) <= 1
    left, upper, right, lower = Cut(crop=crop).box(width, height)
    assert right - left == lower - upper == crop
    assert Cut().box(width, height) == (0, 0, width, height)


def test_a_size_takes_the_middle_square(tmp_path):
    wide = np.zeros((8, 20, 3), np.uint8)
    wide[:, 6:14] = 200  # the middle square alone
    write(tmp_path / "0.png", wide)
    write(tmp_path / "1.png", wide.transpose(1, 0, 2))
    assert (all_images(read_image_folder(tmp_path, size=5, test_share=0.5)) == 200).all()
    assert (all_images(read_image_folder(tmp_path, crop=8, test_share=0.5)) == 200).all()
    assert read_image_folder(tmp_path, crop=4, size=16, test_share=0.5).shape == (3, 16, 16)
    with pytest.raises(InputError, match=r"expected at least 9 x 9 pixels, .* got (20 x 8|8 x 20)"):
        read_image_folder(tmp_path, crop=9, test_share=0.5)


def test_shrinking_is_antialiased(tmp_path):
    fine = np.zeros((64, 64), np.uint8)
    fine[:, ::2] = 255  # stripes that sampling would turn into black or white
    write(tmp_path / "0.png", fine)
    image = decode(tmp_path / "0.png", Cut(size=8), grey=True)
    # A first pixel that sees more of one stripe than of the other, at the borders.
    assert int((image.int() - 127).abs().max()) < 20


def test_grey_pictures_stay_grey_and_one_in_colour_makes_all_of_three_channels(tmp_path):
    write_many(tmp_path, grey=True)
    write(tmp_path / "bits.png", pixels_of(grey=True))
    Image.fromarray(pixels_of(grey=True)).convert("1").save(tmp_path / "bits.png")
    grey = all_images(read_image_folder(tmp_path))
    assert grey.shape == (11, 1, 12, 10)
    write(tmp_path / "colour.png")
    colour = read_image_folder(tmp_path)
    assert colour.shape == (3, 12, 10)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "CMYK"])
def test_other_modes_become_rgb(tmp_path, mode):
    ending = "jpg" if mode == "CMYK" else "png"
    flat = Image.new("RGB", (6, 6), (102, 102, 102)).convert(mode)
    options = {"transparency": bytes([0, 255])} if mode == "P" else {}
    flat.save(tmp_path / f"0.{ending}", **options)
    Image.new("RGB", (6, 6), (102, 102, 102)).save(tmp_path / "1.png")
    images = all_images(read_image_folder(tmp_path, test_share=0.5))
    assert images.shape == (2, 3, 6, 6)
    assert int((images.int() - 102).abs().max()) <= 3


def test_pictures_of_16_bits_are_refused(tmp_path):
    write_many(tmp_path)
    write(tmp_path / "deep.png", np.zeros((4, 4), np.uint16))
    with pytest.raises(
        InputError, match=r"deep\.png: expected .* 8 bits a channel, got Pillow's mode 'I(;16)?'"
    ):
        read_image_folder(tmp_path)


def test_a_picture_is_held_as_the_camera_was(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by a quarter
    path = write(tmp_path / "0.jpg", np.full((4, 9, 3), 7, np.uint8), exif=exif)
    head = read_head(path)
    assert (head.width, head.height) == (4, 9)
    assert decode(path, Cut(), grey=False).shape == (3, 9, 4)


@pytest.mark.parametrize(("ending", "orientation", "turned"), [("webp", 6, True), ("jpg", 99, False)])
def test_an_orientation_is_heeded_in_webp_and_left_if_there_is_none_such(
    tmp_path, ending, orientation, turned
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if ending == "webp" else {}
    path = write(tmp_path / f"x.{ending}", exif=exif, **options)
    head = read_head(path)
    assert (head.width, head.height) == ((12, 10) if turned else (10, 12))
    assert decode(path, Cut(), grey=False).shape == (3, head.height, head.width)


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "testing"), ("train_", "VAL")])
def test_parts_of_other_names_are_not_taken_for_classes(tmp_path, names):
    for name in names:
        write_many(tmp_path / name / "cat")
    if "train_" in names:
        assert read_image_folder(tmp_path, classes=True).classes == ("VAL", "train_")
        return
    with pytest.raises(InputError, match=f"the names train and test, .* got {sorted(names)[0]!r}"):
        read_image_folder(tmp_path, classes=True)


@pytest.mark.parametrize("settings", [{"test_share": 0.0}, {"test_share": 1.0}, {"limit": 1}])
def test_too_few_pictures_for_two_parts_name_the_share_and_the_folder(tmp_path, settings):
    with pytest.raises(InputError, match=r"pets, test_share: expected .* picture\(s\)\. .* train and test"):
        read_image_folder(write_many(tmp_path / "pets"), **settings)


def test_a_limit_is_spread_over_the_names_and_so_over_the_classes(tmp_path):
    data = read_image_folder(write_classes(tmp_path), classes=True, limit=4)
    assert data.train_labels.tolist() == data.test_labels.tolist() == [0, 0, 1, 1]
    assert data.train_images[:, 0, 0, 0].tolist() == [0, 2, 100, 102]
    assert len(read_image_folder(tmp_path, limit=100).train_images) == 8


def test_progress_is_told_to_the_end(tmp_path):
    told = []
    read_image_folder(write_many(tmp_path), progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 10) for done in range(1, 11)]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_picture_cut_anywhere_is_an_input_error_or_has_lost_no_pixel(tmp_path, ending):
    path = write(tmp_path / f"0.{ending}")
    whole, wanted = path.read_bytes(), decode(path, Cut(), grey=False)
    refused = 0
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            read_head(path)
            assert torch.equal(decode(path, Cut(), grey=False), wanted)
        except InputError as error:
            refused += 1
            assert f"0.{ending}: expected " in str(error)  # noqa: PT017 - it need not raise
    # A PNG may lose the marks behind its pixels, a BMP what its rows are filled up by.
    assert refused >= len(whole) - 20


def encoded(ending):
    packed = io.BytesIO()
    Image.fromarray(pixels_of()).save(packed, FORMATS[ending])
    return packed.getvalue()


WHOLE = {ending: encoded(ending) for ending in FORMATS}


@given(st.data(), st.sampled_from(sorted(FORMATS)))
def test_no_garbled_picture_raises_anything_but_an_input_error(tmp_path_factory, data, ending):
    whole = bytearray(WHOLE[ending])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("garbled") / f"0.{ending}"
    path.write_bytes(whole)
    try:
        head = read_head(path)
        if head.width * head.height < 1e6:
            decode(path, Cut(size=4), grey=False)
    except InputError as error:
        assert f"0.{ending}: expected " in str(error)  # noqa: PT017 - it need not raise


def test_files_of_other_formats_under_such_a_name_are_refused(tmp_path):
    write_many(tmp_path)
    Image.fromarray(pixels_of()).save(tmp_path / "x.png", "GIF")
    with pytest.raises(InputError, match=r"x\.png: expected a whole picture"):
        read_image_folder(tmp_path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    write_many(tmp_path)
    for limit in (119, 50):  # Pillow warns of the first and raises on the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InputError, match=r"000\.png: expected a picture that is not too large"):
            read_image_folder(tmp_path)


def test_a_list_of_checksums_is_heeded(tmp_path):
    write_classes(tmp_path)
    write_list(tmp_path)
    read_image_folder(tmp_path)
    write(tmp_path / "train" / "dog" / "deeper" / "3.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"3\.png: expected sha256"):
        read_image_folder(tmp_path)


def test_links_are_followed_but_not_round_and_round(tmp_path):
    write_many(tmp_path / "elsewhere")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path / "set")
    assert len(all_images(read_image_folder(tmp_path / "set"))) == 10


@pytest.mark.parametrize("size", [10**7, 10**9, 10**30])
def test_pictures_beyond_all_memory_are_refused_before_any_is_read(tmp_path, size):
    with pytest.raises(InputError, match=rf"size: expected .* memory, got 10 of {size} x {size} pixels"):
        read_image_folder(write_many(tmp_path), size=size)


def test_a_picture_for_which_no_memory_is_left_is_not_called_damaged(tmp_path, monkeypatch):
    def resize(*arguments):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "resize", resize)
    with pytest.raises(InputError, match=r"000\.png: expected a picture that fits into memory"):
        read_image_folder(write_many(tmp_path), size=5)


def test_a_class_whose_folder_is_closed_is_not_left_out(tmp_path, monkeypatch):
    write_classes(tmp_path)
    scandir = os.scandir

    def closed(folder):
        if str(folder).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(InputError, match=r"dog: expected a folder that can be read, got: Permission denied"):
        read_image_folder(tmp_path, classes=True)


@pytest.mark.parametrize("name", ["size", "crop", "limit"])
def test_wrong_arguments_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: expected an integer >= 1"):
        read_image_folder(tmp_path, **{name: 0})


def test_a_part_without_a_picture_is_refused(tmp_path):
    with pytest.raises(InputError, match="leaves pictures for both parts"):
        read_image_folder(write_many(tmp_path, 2))


def test_missing_pillow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(RunError, match=r"pip install 'asng\[images\]'"):
        read_image_folder(tmp_path)
