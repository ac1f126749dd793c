// A device that is not the CPU, but computes on it: see __init__.py.
//
// Its memory is the host's. Every operation becomes torch's own for the CPU over tensors that alias this memory,
// after a check that no tensor of another device is among them. Views, copies and allocations are written out,
// since they must return tensors of the device over the same storage. Convolutions are, since torch asks a private
// backend for functions of its own.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/extension.h>

using at::Tensor;
using Ints = c10::SymIntArrayRef;

namespace {

constexpr auto kind = c10::DeviceType::PrivateUse1;
const c10::DispatchKeySet keys(c10::DispatchKey::PrivateUse1);

// --- what torch expects of any device: one of it, with one stream that is always done ---------------------

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = kind;
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, c10::Device(kind, 0)); }
  c10::DeviceType type() const override { return kind; }
  c10::Device exchangeDevice(c10::Device) const override { return {kind, 0}; }
  c10::Device getDevice() const override { return {kind, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return stream(); }
  c10::Stream getNewStream(c10::Device, int) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const override { return stream(); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
};

struct Allocator final : at::Allocator {
  at::DataPtr allocate(size_t bytes) override {
    void* data = c10::alloc_cpu(bytes ? bytes : 1);
    return {data, data, &c10::free_cpu, at::Device(kind, 0)};
  }
  at::DeleterFnPtr raw_deleter() const override { return &c10::free_cpu; }
  void copy_data(void* to, const void* from, std::size_t bytes) const final { default_copy_data(to, from, bytes); }
} allocator;

void grow(const c10::Storage& storage, size_t bytes) {
  auto fresh = allocator.allocate(bytes);
  std::memcpy(fresh.get(), storage.data(), std::min(bytes, storage.nbytes()));
  storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(fresh));
  storage.unsafeGetStorageImpl()->set_nbytes(bytes);
}

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  bool isPinnedPtr(const void*) const override { return false; }
  at::Generator getNewGenerator(c10::DeviceIndex) const override {
    return at::make_generator<at::CPUGeneratorImpl>();
  }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override { grow(storage, bytes); }
};

// --- from the device to the CPU and back ------------------------------------------------------------------

bool is_here(const Tensor& t) { return t.defined() && t.device().type() == kind; }

// A tensor of the CPU over the same memory, which it keeps alive.
Tensor on_cpu(const Tensor& t) {
  if (!is_here(t)) return t;
  auto owner = new c10::Storage(t.storage());
  at::DataPtr data(
      const_cast<void*>(owner->data()), owner, [](void* s) { delete static_cast<c10::Storage*>(s); }, at::kCPU);
  c10::Storage storage(
      c10::Storage::use_byte_size_t{}, owner->nbytes(), std::move(data), c10::GetCPUAllocator(), true);
  Tensor r = at::detail::make_tensor<c10::TensorImpl>(
      std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CPU), t.dtype());
  auto* impl = r.unsafeGetTensorImpl();
  impl->set_sizes_and_strides(t.sizes(), t.strides());
  impl->set_storage_offset(t.storage_offset());
  if (t.is_conj()) impl->_set_conj(true);
  if (t.is_neg()) impl->_set_neg(true);
  return r;
}

// A copy of a result on the device.
Tensor brought(const Tensor& t) {
  if (!t.defined() || is_here(t)) return t;
  Tensor r = at::detail::empty_strided_generic(t.sizes(), t.strides(), &allocator, keys, t.scalar_type());
  on_cpu(r).copy_(t);
  return r;
}

void refuse(const std::string& name) {
  TORCH_CHECK(false, name, ": expected all tensors on one device, got some on the CPU and some elsewhere");
}

// --- any operation ----------------------------------------------------------------------------------------

void run_on_cpu(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const auto& name = schema.name();
  const auto given = schema.arguments().size(), begin = stack->size() - given;
  const bool indexes = name.find("index") != std::string::npos;  // torch allows indices on the CPU
  std::vector<std::pair<Tensor, Tensor>> aliased;
  bool mixed = false;
  auto lowered = [&](const Tensor& t) {
    if (!is_here(t)) {
      mixed |= t.defined() && t.dim() > 0 && !indexes;
      return t;
    }
    aliased.emplace_back(t, on_cpu(t));
    return aliased.back().second;
  };
  for (size_t i = 0; i < given; ++i) {
    auto& value = (*stack)[begin + i];
    if (value.isTensor()) {
      value = lowered(value.toTensor());
    } else if (value.isTensorList()) {
      std::vector<Tensor> all;
      for (const Tensor& t : value.toTensorVector()) all.push_back(lowered(t));
      value = all;
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> all;
      for (std::optional<Tensor> t : value.toOptionalTensorList())
        all.push_back(t.has_value() ? std::optional<Tensor>(lowered(*t)) : std::nullopt);
      value = all;
    } else if (value.isDevice() && value.toDevice().type() == kind) {
      value = c10::Device(at::kCPU);
    }
  }
  if (mixed && !aliased.empty()) refuse(name);
  op.callBoxedForDispatchKey(c10::DispatchKey::CPU, *stack);

  for (auto& [here, alias] : aliased) {
    if (here.sizes() == alias.sizes()) continue;  // else it was an output, which the operation resized
    auto fresh = brought(alias);
    here.unsafeGetTensorImpl()->set_storage_keep_dtype(fresh.storage());
    here.unsafeGetTensorImpl()->set_sizes_and_strides(fresh.sizes(), fresh.strides());
  }
  auto raised = [&](const Tensor& t) {
    for (auto& [here, alias] : aliased)
      if (alias.is_same(t)) return here;
    return brought(t);
  };
  const auto returned = schema.returns().size(), first = stack->size() - returned;
  for (size_t i = 0; i < returned; ++i) {
    auto& value = (*stack)[first + i];
    if (value.isTensor()) {
      value = raised(value.toTensor());
    } else if (value.isTensorList()) {
      std::vector<Tensor> all;
      for (const Tensor& t : value.toTensorVector()) all.push_back(raised(t));
      value = all;
    }
  }
}

// --- allocations, copies, views ---------------------------------------------------------------------------

Tensor empty(Ints size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>, std::optional<at::Device>,
             std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(
      C10_AS_INTARRAYREF_SLOW(size), &allocator, keys, c10::dtype_or_default(dtype), format);
}

Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                     std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &allocator, keys, c10::dtype_or_default(dtype));
}

Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  on_cpu(to).copy_(on_cpu(from));
  return to;
}

Tensor copy_from_and_resize(const Tensor& from, const Tensor& to) {
  to.resize_(from.sizes());
  return copy_from(from, to, false);
}

const Tensor& resize(const Tensor& t, Ints size, std::optional<at::MemoryFormat>) {
  const auto sizes = C10_AS_INTARRAYREF_SLOW(size);
  const size_t bytes = (c10::multiply_integers(sizes) + t.storage_offset()) * t.element_size();
  if (bytes > t.storage().nbytes()) grow(t.storage(), bytes);
  t.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return t;
}

Tensor view(const Tensor& t, Ints size) { return at::native::view(t, C10_AS_INTARRAYREF_SLOW(size)); }

Tensor as_strided(const Tensor& t, Ints size, Ints stride, std::optional<c10::SymInt> offset) {
  return at::native::as_strided_tensorimpl(
      t, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
      offset.has_value() ? std::optional<int64_t>(offset->expect_int()) : std::nullopt);
}

Tensor reshape_alias(const Tensor& t, Ints size, Ints stride) {
  return at::native::_reshape_alias(t, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}

Tensor& set_storage(Tensor& t, at::Storage storage, c10::SymInt offset, Ints size, Ints stride) {
  auto* impl = t.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(storage);
  impl->set_storage_offset(offset.expect_int());
  impl->set_sizes_and_strides(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
  return t;
}

Tensor& set_whole_storage(Tensor& t, at::Storage storage) {
  const int64_t count = storage.nbytes() / t.element_size();
  t.unsafeGetTensorImpl()->set_storage_keep_dtype(storage);
  t.unsafeGetTensorImpl()->set_storage_offset(0);
  t.unsafeGetTensorImpl()->set_sizes_contiguous({count});
  return t;
}

Tensor& set_tensor(Tensor& t, const Tensor& from) {
  return set_storage(t, from.storage(), from.storage_offset(), from.sym_sizes(), from.sym_strides());
}

// --- convolution and attention ----------------------------------------------------------------------------

Tensor convolution(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias, Ints stride,
                   Ints padding, Ints dilation, bool transposed, Ints output_padding, c10::SymInt groups) {
  const bool biased = bias.has_value() && bias->defined();
  if (!is_here(x) || !is_here(weight) || (biased && !is_here(*bias))) refuse("convolution");
  at::NoGradGuard no_grad;
  return brought(at::convolution_symint(
      on_cpu(x), on_cpu(weight), biased ? std::optional<Tensor>(on_cpu(*bias)) : std::nullopt, stride, padding,
      dilation, transposed, output_padding, groups));
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(
    const Tensor& gradient, const Tensor& x, const Tensor& weight, Ints stride, Ints padding, Ints dilation,
    bool transposed, Ints output_padding, c10::SymInt groups, std::array<bool, 3> wanted) {
  if (!is_here(gradient) || !is_here(x) || !is_here(weight)) refuse("convolution_backward");
  const std::vector<c10::SymInt> bias{transposed ? weight.sym_size(1) * groups : weight.sym_size(0)};
  auto [dx, dweight, dbias] = at::convolution_backward_symint(
      on_cpu(gradient), on_cpu(x), on_cpu(weight), at::OptionalSymIntArrayRef(bias), stride, padding, dilation,
      transposed, output_padding, groups, wanted);
  return {brought(dx), brought(dweight), brought(dbias)};
}

// Attention is computed by its formula (the number of that way is 0), which uses operations of the device.
int64_t way_of_attention(const Tensor&, const Tensor&, const Tensor&, const std::optional<Tensor>&, double, bool,
                         std::optional<double>, bool) {
  return 0;
}

}  // namespace

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);
REGISTER_ALLOCATOR(kind, &allocator);

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("resize_", &resize);
  m.impl("view", &view);
  m.impl("as_strided", &as_strided);
  m.impl("_reshape_alias", &reshape_alias);
  m.impl("unfold", &at::native::unfold);
  m.impl("set_.source_Storage", &set_whole_storage);
  m.impl("set_.source_Storage_storage_offset", &set_storage);
  m.impl("set_.source_Tensor", &set_tensor);
  m.impl("convolution_overrideable", &convolution);
  m.impl("convolution_backward_overrideable", &convolution_backward);
  m.impl("_fused_sdp_choice", &way_of_attention);
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { at::RegisterPrivateUse1HooksInterface(new Hooks()); }
