//! What the NVIDIA driver says of its devices. Asked before the large CUDA libraries are loaded, so that a machine
//! without a GPU gets its answer at once. The driver's library is opened at run time; nothing links against it.

use anyhow::{Context as _, Result, anyhow, bail};
use libloading::os::unix::Library;
use serde::Serialize;
use std::ffi::{CStr, c_char, c_int, c_uint};

/// One GPU.
#[derive(Debug, Serialize)]
pub struct Gpu {
    /// Its maker's name for it.
    pub name: String,
    /// Its memory in bytes.
    pub memory: u64,
    /// Its compute capability: major and minor number.
    pub capability: (i32, i32),
}

impl Gpu {
    /// The name with the compute capability: `NVIDIA H100 80GB HBM3 sm_90`.
    pub fn described(&self) -> String {
        format!("{} sm_{}{}", self.name, self.capability.0, self.capability.1)
    }
}

/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR` of cuda.h.
const CAPABILITY: [c_int; 2] = [75, 76];

const NO_DEVICE: c_int = 100;

/// The devices that the driver offers, in CUDA's order; `CUDA_VISIBLE_DEVICES` is heeded.
pub fn devices() -> Result<Vec<Gpu>> {
    // SAFETY: the driver's library has no initialiser that matters; its functions are called as cuda.h declares them.
    let driver = unsafe { Library::new("libcuda.so.1") };
    let driver = driver.map_err(|error| anyhow!("there is no NVIDIA driver on this machine ({error})"))?;
    let driver = Driver(driver);
    // SAFETY: signatures as in cuda.h.
    unsafe {
        let init = driver.function::<unsafe extern "C" fn(c_uint) -> c_int>("cuInit")?;
        match init(0) {
            NO_DEVICE => return Ok(Vec::new()),
            code => driver.check("cuInit", code)?,
        }
        let mut count: c_int = 0;
        let get_count = driver.function::<unsafe extern "C" fn(*mut c_int) -> c_int>("cuDeviceGetCount")?;
        driver.check("cuDeviceGetCount", get_count(&mut count))?;
        (0..count).map(|index| driver.device(index)).collect()
    }
}

struct Driver(Library);

impl Driver {
    /// SAFETY: `T` must be the function's type.
    unsafe fn function<T: Copy>(&self, name: &str) -> Result<T> {
        // SAFETY: as the caller promises.
        let symbol = unsafe { self.0.get::<T>(name.as_bytes()) };
        Ok(*symbol.with_context(|| format!("the NVIDIA driver has no {name}"))?)
    }

    /// SAFETY: `cuInit` must have succeeded and the index must be below the count.
    unsafe fn device(&self, index: c_int) -> Result<Gpu> {
        let mut name: [c_char; 256] = [0; 256];
        let mut memory = 0usize;
        let mut device: c_int = 0;
        // SAFETY: signatures as in cuda.h; the buffer is as long as told.
        unsafe {
            let get = self.function::<unsafe extern "C" fn(*mut c_int, c_int) -> c_int>("cuDeviceGet")?;
            self.check("cuDeviceGet", get(&mut device, index))?;
            let get = self.function::<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int>("cuDeviceGetName")?;
            self.check("cuDeviceGetName", get(name.as_mut_ptr(), name.len() as c_int - 1, device))?;
            let get = self.function::<unsafe extern "C" fn(*mut usize, c_int) -> c_int>("cuDeviceTotalMem_v2")?;
            self.check("cuDeviceTotalMem", get(&mut memory, device))?;
            let get =
                self.function::<unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int>("cuDeviceGetAttribute")?;
            let mut capability: [c_int; 2] = [0; 2];
            for (value, attribute) in capability.iter_mut().zip(CAPABILITY) {
                self.check("cuDeviceGetAttribute", get(value, attribute, device))?;
            }
            let name = CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
            Ok(Gpu { name, memory: memory as u64, capability: (capability[0], capability[1]) })
        }
    }

    fn check(&self, call: &str, code: c_int) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        let mut text: *const c_char = std::ptr::null();
        // SAFETY: signature as in cuda.h; the text it points to is static.
        let words = unsafe {
            let name = self.function::<unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int>("cuGetErrorString");
            match name {
                Ok(name) if name(code, &mut text) == 0 && !text.is_null() => CStr::from_ptr(text).to_string_lossy(),
                _ => "no description".into(),
            }
        };
        bail!("the NVIDIA driver is not usable: {call} failed with code {code} ({words})")
    }
}
